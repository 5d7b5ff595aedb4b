#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/unit/proto/vectors.h: messages as Google's protobuf encodes them.

    tests/gen/proto_vectors.py > tests/unit/proto/vectors.h

Needs protoc and python3-protobuf; the tests themselves do not. Every message is
also read back by `protoc --decode`, so that the bytes mean what the .proto says.
"""
import pathlib
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The part of googleapis that grpc-status-details-bin needs.
RPC = """
syntax = "proto3";
package google.rpc;
message Any { string type_url = 1; bytes value = 2; }  // google.protobuf.Any
message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
message BadRequest {
  message FieldViolation { string field = 1; string description = 2; }
  repeated FieldViolation field_violations = 1;
}
message ErrorInfo { string reason = 1; }
"""

work = tempfile.TemporaryDirectory()
out = pathlib.Path(work.name)
(out / "rpc.proto").write_text(RPC)
PROTOC = ["protoc", "-I", str(ROOT / "proto"), "-I", str(out)]
FILES = ["trit/v1/memory.proto", "trit/v1/tensor.proto", "trit/v1/report.proto", "trit/v1/ternary.proto",
         "trit/v1/layers.proto", "grpc/health/v1/health.proto", "rpc.proto"]
subprocess.run(PROTOC + ["--python_out", str(out)] + FILES, check=True)
sys.path.insert(0, str(out))

from grpc.health.v1 import health_pb2 as health  # noqa: E402
from trit.v1 import layers_pb2 as layers  # noqa: E402
from trit.v1 import memory_pb2 as memory  # noqa: E402
from trit.v1 import report_pb2 as report  # noqa: E402
from trit.v1 import tensor_pb2 as tensor  # noqa: E402
from trit.v1 import ternary_pb2 as ternary  # noqa: E402
import rpc_pb2 as rpc  # noqa: E402

DATA = bytes(range(24))
SCALES = struct.pack("<3f", 0.5, 0.25, 1.5)
LATENTS = bytes(255 - i for i in range(12))
LAYER = tensor.LayerRef(run="läuft-1", layer="blk.0.ffn_up", step=1 << 40)


def a_tensor(dtype=tensor.DTYPE_F32, data=DATA):
    return tensor.Tensor(dtype=dtype, shape=[2, 3], data=data)


REGION = memory.MemoryRegion(buffer=bytes(range(16)), offset=1 << 33, bytes=24)


def a_chunk(offset, data):
    return tensor.TensorChunk(offset=offset, crc32c=0x01020304, data=data)


def a_report(**more):
    return report.LayerReport(
        run="läuft-1", layer="blk.0.ffn_up", step=1 << 40,
        time_unix_ns=1_700_000_000_123_456_789, dtype=tensor.DTYPE_BF16, shape=[300, 1],
        group_size=128, groups=300, elements=300, is_ternary=True, fraction_valid=0.75,
        max_round_error=1.25e-6, sample_values=[-1.0, 0.0, float("inf")], negatives=100,
        zeros=150, positives=50, zero_groups=3, non_finite=1, scale_min=0.125,
        scale_mean=0.3, scale_max=2.5, scales_lossy_fp16=17, mse=0.0, cosine=-0.0,
        sqnr_db=float("inf"), previous_step=0, flips=9, flip_fraction=0.03,
        transitions=[1, 2, 3, 4, 5, 6, 7, 8, 1 << 33], near_threshold_fraction=0.0625,
        digest=bytes(range(32)), kernel="avx512", version="0.1.0",
        reference_mismatches=2, first_mismatch=0,
        findings=[report.Finding(kind="not_ternary", severity="error", index=1 << 35, count=7,
                                 expected="-1, 0 or 1", got="0.5", hint="project it again"),
                  report.Finding(kind="dead_groups", severity="warning", group=0)],
        stored=True, attempt=2, replica=1 << 20,
        shard=tensor.Shard(global_shape=[600, 1], offset=[300, 0]), superseded=True,
        shards_present=3, shards_expected=1 << 20, health="failing",
        health_reasons=[report.HealthReason(
            rule="scale_drift", since_step=1 << 33, value=0.5, threshold=0.25,
            text="scales grew", severity="failing")], **more)


def project_start():
    return ternary.ProjectStart(
        options=ternary.ProjectOptions(group_size=64), dtype=tensor.DTYPE_F16,
        shape=[1 << 20, 4096])


def verify_start():
    return ternary.VerifyStart(
        options=ternary.VerifyOptions(mode=1, tolerance=0.0, encoding=1, scales=SCALES),
        layer=LAYER, dtype=tensor.DTYPE_I8, shape=[2, 3], reference_dtype=1)


def a_spec(**more):
    return layers.LayerSpec(name="blk.0.läuft", kind=1, in_features=1 << 33, out_features=3,
                            group_size=64, keep_latents=True, **more)


def an_any(message):
    return rpc.Any(type_url="type.googleapis.com/" + message.DESCRIPTOR.full_name,
                   value=message.SerializeToString())


def details():
    bad = rpc.BadRequest(field_violations=[rpc.BadRequest.FieldViolation(
        field="tensor.shape", description="tensor.shape: rank 0")])
    return rpc.Status(code=3, message="tensor.shape: rank 0", details=[an_any(bad)])


def foreign_details():
    return rpc.Status(code=3, details=[an_any(rpc.ErrorInfo(reason="r"))])


VECTORS = {
    "project": ternary.ProjectRequest(
        options=ternary.ProjectOptions(group_size=64, partial_group=1, encoding=2,
                                       report=1),
        layer=LAYER, tensor=a_tensor()),
    "project_bare": ternary.ProjectRequest(tensor=a_tensor()),
    "verify": ternary.VerifyRequest(
        options=ternary.VerifyOptions(group_size=64, tolerance=0.5, encoding=1,
                                      scales=SCALES),
        layer=LAYER, reference=a_tensor(tensor.DTYPE_BF16, LATENTS), tensor=a_tensor()),
    "pack": ternary.PackRequest(
        options=ternary.PackOptions(group_size=64, source_encoding=1, scales_dtype=2,
                                    encoding=2, report=1, allow_rounded_scales=True),
        layer=LAYER, scales=SCALES, tensor=a_tensor()),
    "pack_start": ternary.PackStreamRequest(start=ternary.PackStart(
        options=ternary.PackOptions(encoding=2), layer=LAYER, dtype=tensor.DTYPE_F16,
        shape=[2, 3], scales=SCALES)),
    "pack_chunk": ternary.PackStreamRequest(chunk=a_chunk(1 << 33, DATA)),
    "unpack": ternary.UnpackRequest(encoding=1, dtype=1, shape=[2, 3], group_size=3,
                                    scales=SCALES, data=DATA),
    "backward": ternary.BackwardRequest(grad_ternary=a_tensor()),
    "region_project": ternary.ProjectRequest(
        options=ternary.ProjectOptions(reply=REGION),
        tensor=tensor.Tensor(dtype=1, shape=[2, 3], region=REGION)),
    "region_start": ternary.ProjectStreamRequest(
        start=ternary.ProjectStart(dtype=1, shape=[2, 3], replies_in_memory=True)),
    "region_chunk": ternary.ProjectStreamRequest(
        chunk=tensor.TensorChunk(offset=300, region=REGION)),
    "region_reference": ternary.VerifyStreamRequest(
        reference=tensor.TensorChunk(offset=300, region=REGION)),
    "region_projected": ternary.ProjectResponse(encoding=1, dtype=4, shape=[2, 3],
                                                region=REGION),
    "region_reply": ternary.ProjectStreamResponse(
        chunk=tensor.TensorChunk(offset=24, region=REGION)),
    "chunks_done": ternary.VerifyStreamResponse(chunks_done=300),
    "memory_register": memory.MemoryRequest(sequence=7, register_bytes=1 << 22),
    "memory_release": memory.MemoryRequest(sequence=8, release=bytes(range(16))),
    "memory_reply": memory.MemoryReply(sequence=7, status=8, message="too many",
                                       buffer=bytes(range(16))),
    "project_start": ternary.ProjectStreamRequest(start=project_start()),
    "project_chunk": ternary.ProjectStreamRequest(chunk=a_chunk(0, DATA)),
    "verify_start": ternary.VerifyStreamRequest(start=verify_start()),
    "verify_reference": ternary.VerifyStreamRequest(reference=a_chunk(300, LATENTS)),
    "verify_chunk": ternary.VerifyStreamRequest(chunk=a_chunk(1 << 33, DATA)),
    "reports_get": report.ReportsGetRequest(run="r", layer="l", step=0),
    "reports_list": report.ReportsListRequest(
        run="r", layer="l", step_from=0, step_to=1 << 62, latest_only=True, waiting=True,
        page_size=1000, page_token="r/l/7", beside_damage=True),
    "reports_watch": report.ReportsWatchRequest(run="r", cursor="17"),
    "reports_compare": report.ReportsCompareRequest(a=LAYER, b=tensor.LayerRef(
        run="q", layer="m", step=9, attempt=2, replica=3)),
    "reports_rewind": report.ReportsRewindRequest(run="r", step=1 << 62),
    "reports_fork": report.ReportsForkRequest(run="r", step=7, new_run="s"),
    "reports_delete": report.ReportsDeleteRequest(run="r", layer="l", step_from=0, step_to=9),
    "watched": report.ReportsWatchResponse(report=a_report(), cursor="18"),
    "compared": report.ReportsCompareResponse(equal=False, elements=300, codes_differing=5,
                                              scale_ratio_max=1.5, first_group=0),
    "rewound": report.ReportsRewindResponse(attempt=3),
    "forked": report.ReportsForkResponse(reports=1 << 40),
    "deleted": report.ReportsDeleteResponse(reports=1 << 40),
    "health_check": health.HealthCheckRequest(service="trit.v1.Ternary"),
    "projected": ternary.ProjectResponse(report=a_report(), encoding=1, dtype=4,
                                         shape=[2, 3], scales=SCALES, data=DATA),
    "verified": ternary.VerifyResponse(report=a_report()),
    "packed": ternary.PackResponse(report=a_report(), encoding=1, dtype=4, shape=[2, 3],
                                   scales=SCALES, data=DATA),
    "packed_scales": ternary.PackStreamResponse(scales=a_chunk(0, SCALES)),
    "packed_report": ternary.PackStreamResponse(report=a_report()),
    "stream_chunk": ternary.ProjectStreamResponse(chunk=a_chunk(24, DATA)),
    "stream_scales": ternary.ProjectStreamResponse(scales=a_chunk(0, SCALES)),
    "stream_report": ternary.ProjectStreamResponse(report=a_report()),
    "tensor": a_tensor(),
    "backward_reply": ternary.BackwardResponse(grad_latent=a_tensor()),
    "report_got": report.ReportsGetResponse(report=a_report()),
    "reports_page": report.ReportsListResponse(
        reports=[a_report(), report.LayerReport(run="r", layer="l", step=8)],
        next_page_token="r/l/8"),
    "damaged_page": report.ReportsListResponse(
        reports=[report.LayerReport(run="r", layer="l", step=8)], next_page_token="r/m/9",
        damaged=[report.DamagedReports(run="r", layer="l", step=9),
                 report.DamagedReports(run="r", layer="m", step=1 << 62, attempt=2, replica=3)]),
    "health": health.HealthCheckResponse(status=2),
    "report": a_report(),
    "layer_create": layers.LayerCreateRequest(spec=a_spec(), seed=1 << 63),
    "layer_load": layers.LayerLoadRequest(
        spec=a_spec(bias=True), bias=a_tensor(tensor.DTYPE_F32, SCALES), weight=a_tensor()),
    "layer_load_start": layers.LayerLoadStreamRequest(start=layers.LayerLoadStart(
        spec=a_spec(bias=True), dtype=3, bias=a_tensor(tensor.DTYPE_F32, SCALES))),
    "layer_load_bare": layers.LayerLoadStreamRequest(start=layers.LayerLoadStart(
        spec=a_spec(), dtype=3)),
    "layer_forward": layers.LayerForwardRequest(
        name="l", activations=1, report_error=True, reply=REGION, x=a_tensor()),
    "layer_as_linear": layers.LayerAsLinearRequest(name="l", x=a_tensor()),
    "layer_backward": layers.LayerBackwardRequest(
        name="l", x=a_tensor(tensor.DTYPE_BF16, LATENTS), grad_output=a_tensor()),
    "layer_embed": layers.LayerEmbedRequest(
        name="l", ids=[0, 127, 128, 16384, (1 << 32) - 1]),
    "layer_get": layers.LayerGetRequest(name="l", part=1, encoding=2, dtype=3),
    "layer_list": layers.LayerListRequest(prefix="blk.", page_size=7, page_token="blk.6"),
    "layer_delete": layers.LayerDeleteRequest(name="l"),
    "layer_verify": layers.LayerVerifyRequest(prefix="blk.", tolerance=0.0),
    "layer_made": layers.LayerCreateResponse(spec=a_spec()),
    "layer_got": layers.LayerGetResponse(
        spec=a_spec(), seed=0, encoding=1, dtype=4, shape=[3, 1 << 33], bias=LATENTS,
        scales=SCALES, data=DATA),
    "layer_forwarded": layers.LayerForwardResponse(
        max_error=0.5, relative_error=0.25, y=a_tensor()),
    "layer_forwarded_region": layers.LayerForwardResponse(
        y=tensor.Tensor(dtype=1, shape=[2, 3], region=REGION)),
    "layer_page": layers.LayerListResponse(
        layers=[a_spec(), layers.LayerSpec(name="z")], next_page_token="z"),
    "layer_gradients": layers.LayerBackwardResponse(
        grad_input=a_tensor(), grad_weight=a_tensor(tensor.DTYPE_BF16, LATENTS),
        grad_bias=a_tensor(tensor.DTYPE_F32, SCALES)),
    "details": details(),
    "details_foreign": foreign_details(),
}


def array(name, message):
    encoded = message.SerializeToString(deterministic=True)
    subprocess.run(PROTOC + ["--decode", message.DESCRIPTOR.full_name] + FILES,
                   input=encoded, stdout=subprocess.DEVNULL, check=True)
    lines = [f"static const uint8_t vector_{name}[] = {{"]
    for at in range(0, len(encoded), 16):
        lines.append("    " + " ".join(f"{b:#04x}," for b in encoded[at:at + 16]))
    return "\n".join(lines + ["};"])


print("/* SPDX-License-Identifier: Apache-2.0 */\n/* Written by tests/gen/proto_vectors.py: messages as Google's protobuf encodes\n"
      " * them. */\n"
      "#ifndef TESTS_PROTO_VECTORS_H\n#define TESTS_PROTO_VECTORS_H\n\n"
      "#include <stdint.h>\n\n/* clang-format off */")
for name, message in VECTORS.items():
    print(f"\n/* {message.DESCRIPTOR.full_name} */\n" + array(name, message))
print("/* clang-format on */\n\n#endif")
