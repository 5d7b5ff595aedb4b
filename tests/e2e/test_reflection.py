# SPDX-License-Identifier: Apache-2.0
"""Reflection, by grpcio's client of it, by its messages, and by grpcurl."""
import base64
import json
import subprocess

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase)

import tools
from checkpoints import save
from tritd import BINARIES, CALL_SECONDS, ROOT

SERVICES = {"trit.v1.Ternary", "trit.v1.Reports", "trit.v1.Layers", "trit.v1.Checkpoints",
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}
Request = reflection_pb2.ServerReflectionRequest


@pytest.fixture(params=["v1", "v1alpha"])
def ask(daemon, request):
    """Sends requests on one call; their messages are the same in both versions."""
    method = daemon.channel.stream_stream(
        f"/grpc.reflection.{request.param}.ServerReflection/ServerReflectionInfo",
        request_serializer=Request.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString)
    return lambda *requests: list(method(iter(requests), timeout=CALL_SECONDS))


def files_of(reply):
    return [descriptor_pb2.FileDescriptorProto.FromString(data) for data in
            reply.file_descriptor_response.file_descriptor_proto]


def test_services_are_listed(ask):
    (reply,) = ask(Request(list_services="*"))
    assert {service.name for service in reply.list_services_response.service} >= SERVICES


def test_a_file_comes_with_all_that_it_imports(ask):
    (reply,) = ask(Request(file_by_filename="trit/v1/ternary.proto"))
    files = files_of(reply)
    names = [file.name for file in files]
    assert names[0] == "trit/v1/ternary.proto" and len(set(names)) == len(names)
    assert all(name in names for file in files for name in file.dependency)


@pytest.mark.parametrize("symbol, file", [
    ("trit.v1.Ternary", "trit/v1/ternary.proto"),
    ("trit.v1.Ternary.Project", "trit/v1/ternary.proto"),
    ("trit.v1.Tensor", "trit/v1/tensor.proto"),
    ("trit.v1.Tensor.data", "trit/v1/tensor.proto"),
    ("trit.v1.DTYPE_F32", "trit/v1/tensor.proto"),
    ("google.rpc.BadRequest", "google/rpc/error_details.proto"),
    ("grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto")])
def test_a_symbol_leads_to_its_file(ask, symbol, file):
    (reply,) = ask(Request(file_containing_symbol=symbol))
    assert files_of(reply)[0].name == file


def test_what_is_unknown_is_an_error_in_the_reply_and_the_call_goes_on(ask):
    extension = reflection_pb2.ExtensionRequest(containing_type="trit.v1.Tensor",
                                                extension_number=100)
    requests = [Request(file_by_filename="none.proto", host="h"),
                Request(file_containing_symbol="trit.v1.None"),
                Request(file_containing_extension=extension),
                Request(all_extension_numbers_of_type="trit.v1.None"),
                Request(all_extension_numbers_of_type="trit.v1.Tensor")]
    replies = ask(*requests)
    assert [reply.original_request for reply in replies] == requests
    assert [reply.error_response.error_code for reply in replies] == [5, 5, 5, 5, 0]
    assert "none.proto" in replies[0].error_response.error_message
    numbers = replies[4].all_extension_numbers_response
    assert numbers.base_type_name == "trit.v1.Tensor" and not numbers.extension_number


def test_a_request_without_a_question_is_refused(ask):
    with pytest.raises(grpc.RpcError) as error:
        ask(Request())
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_client_that_knows_nothing_calls_a_method(daemon):
    """grpcio's reflection client finds the messages of a method, and the call works."""
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(daemon.channel))
    method = pool.FindServiceByName("trit.v1.Ternary").FindMethodByName("Verify")
    request = message_factory.GetMessageClass(method.input_type)()
    request.tensor.dtype = 1
    request.tensor.shape.extend([1, 128])
    request.tensor.data = bytes(512)
    reply = daemon.channel.unary_unary(
        "/trit.v1.Ternary/Verify", request_serializer=type(request).SerializeToString,
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString)(
            request, timeout=CALL_SECONDS)
    assert reply.report.zeros == 128


def test_many_requests_on_one_call_are_answered_in_order(ask):
    """The replies are much larger than the requests: the call reads no further than its
    peer does."""
    names = ["trit.v1.Ternary", "trit.v1.Layers", "trit.v1.Reports"]
    requests = [Request(file_containing_symbol=names[i % 3]) for i in range(600)]
    replies = ask(*requests)
    assert [reply.original_request for reply in replies] == requests


def grpcurl(daemon, *words, data=None):
    options = ["-plaintext", *(["-d", json.dumps(data)] if data else [])]
    done = tools.run("grpcurl", *options, daemon.rpc, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_grpcurl_lists_describes_and_calls(daemon):
    assert set(grpcurl(daemon, "list").split()) >= SERVICES
    assert "trit.v1.Ternary.ProjectStream" in grpcurl(daemon, "list", "trit.v1.Ternary")
    assert "message Tensor" in grpcurl(daemon, "describe", "trit.v1.Tensor")
    health = json.loads(grpcurl(daemon, "grpc.health.v1.Health/Check"))
    assert health == {"status": "SERVING"}
    reply = json.loads(grpcurl(daemon, "trit.v1.Ternary/Project", data={
        "tensor": {"dtype": "DTYPE_F32", "shape": [1, 128], "data": base64.b64encode(bytes(512)).decode()}}))
    assert reply["report"]["zeros"] == "128"


def messages(text):
    """The JSON objects that grpcurl prints one behind the other."""
    decoder, found = json.JSONDecoder(), []
    while text.strip():
        text = text.lstrip()
        message, end = decoder.raw_decode(text)
        found.append(message)
        text = text[end:]
    return found


def test_grpcurl_runs_jobs_over_checkpoints(daemon):
    """Their progress comes as it is streamed, with reports; the list has them."""
    save(daemon.root / "grpcurl.safetensors",
         {"l.weight": np.linspace(-1, 1, 512, dtype=np.float32).reshape(4, 128)})
    path = {"path": "grpcurl.safetensors"}
    told = messages(grpcurl(daemon, "trit.v1.Checkpoints/Inspect", data=path))
    listed = json.loads("".join(one.get("result", "") for one in told))
    assert [one["name"] for one in listed["tensors"] if one["layer"]] == ["l.weight"]
    told = messages(grpcurl(daemon, "trit.v1.Checkpoints/Project",
                            data={**path, "output": "grpcurl.gguf", "force": True,
                                  "options": {"encoding": "ENCODING_PQ2_0"}}))
    report = next(one for one in told if "report" in one)
    assert (report["layer"], report["report"]["elements"]) == ("l.weight", "512")
    assert (told[-1]["verdict"], told[-1]["tensorsDone"]) == ("pass", "1")
    jobs = json.loads(grpcurl(daemon, "trit.v1.Checkpoints/Jobs"))["jobs"]
    done = next(one for one in jobs if one["job"] == told[0]["job"])
    assert (done["method"], done["output"], done["state"]) == ("Project", "grpcurl.gguf", "done")


def test_grpcurl_shows_the_details_of_an_error(daemon):
    done = tools.run("grpcurl", "-plaintext", "-d", "{}", daemon.rpc, "trit.v1.Ternary/Project")
    assert done.returncode != 0 and '"field": "tensor' in done.stderr + done.stdout, done.stderr


def test_ghz_calls_by_reflection(daemon):
    done = tools.run("ghz", "--insecure", "-n", 200, "-c", 10, "-O", "json", "--call",
                     "grpc.health.v1.Health.Check", "-d", "{}", daemon.rpc)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["statusCodeDistribution"] == {"OK": 200}


def test_the_proto_files_are_installed(tmp_path):
    """make install copies the .proto files of the services."""
    subprocess.run(["make", "-C", ROOT, "install", f"DESTDIR={tmp_path}", "PREFIX=/usr", "-o",
                    "bins", f"BUILD={BINARIES.parent}", f"VARIANT={BINARIES.name}"], check=True,
                   capture_output=True, timeout=CALL_SECONDS)
    proto = tmp_path / "usr/share/trit/proto"
    names = {str(path.relative_to(proto)) for path in proto.rglob("*.proto")}
    assert {"trit/v1/ternary.proto", "grpc/health/v1/health.proto",
            "grpc/reflection/v1alpha/reflection.proto"} <= names
