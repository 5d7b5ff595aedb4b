# SPDX-License-Identifier: Apache-2.0
"""Every kind of finding, made by a file that has just this fault: its severity, where it is, how
often, what was expected and got, and what to do."""
import json
import re

import numpy as np
import pytest

import claims
import packings
import schemas
from checkpoints import Raw, save
from folders import INDEX, save_folder, shard_name
from tritd import ROOT, cli

EXIT = {"error": 1, "undecided": 4, "warning": 0, "note": 0}
# Kinds that no file makes: they belong to shards and replicas of reports, and to statements
# (test_attest.py).
UNUSED = {"shard_cuts_group", "shards_missing", "file_differs", "missing_file", "extra_file",
          "digest_differs", "attestation_differs", "replica_equal"}


def severities():
    """Kind to severity, from the one list of them."""
    text = (ROOT / "proto/finding.c").read_text()
    found = re.findall(r'\{"(\w+)",\s*TRIT_SEVERITY_(\w+)\}', text)
    return {kind: severity.lower() for kind, severity in found if kind != "unknown"}


class Case:
    """What a fault is made of."""

    def __init__(self, random, folder):
        self.random, self.folder = random, folder
        self.t = random.integers(-1, 2, (4, 256))
        self.t[:, ::16] = 1
        self.t[:, 1::16] = 0
        self.scales = np.full((4, 2), .5, np.float32)

    @property
    def dense(self):
        return (self.t * .5).astype(np.float32)

    def file(self, tensors, name="claim", metadata=None):
        path = self.folder / f"{name}.safetensors"
        save(path, tensors, metadata)
        return path

    def int8(self, codes=None, scales=None):
        return self.file({"l.weight": (self.t if codes is None else codes).astype(np.int8),
                          "l.weight.scales": self.scales if scales is None else scales})

    def blocks(self, encoding):
        data, _ = packings.encode(encoding, self.t, self.scales)
        return np.frombuffer(bytearray(data), np.uint8).reshape(4, -1)

    def latents(self):
        """Latents of [4, 256], their scales and their codes."""
        weight = (self.random.standard_normal((4, 256)) * .02).astype(np.float32)
        scales = np.abs(weight.reshape(4, 2, 128)).mean(2, dtype=np.float64).astype(np.float32)
        wide = np.repeat(scales, 128, axis=1)
        return weight, scales, np.clip(np.rint(weight / wide), -1, 1)

    def against(self, claim, latents=None, *words, name="l.weight"):
        weight = self.latents()[0] if latents is None else latents
        path = self.file({name: weight} if isinstance(weight, np.ndarray) else weight, "latents")
        return [claim, "--against", path, *words]

    def projection(self, values, latents, *words):
        return self.against(self.file({"l.weight": values.astype(np.float32)}), latents, *words)


# Each gives the words after `trit verify`, and members of the finding: numbers and texts are
# equal, a True must be there.

def not_ternary(c):
    weight = c.dense
    weight[1, 16] = .4
    return [c.file({"l.weight": weight})], dict(layer="l.weight", index=256 + 16, count=1,
                                                expected="-1, 0 or 1", got="0.8")


def non_finite(c):
    weight = c.dense
    weight[2, 3] = np.nan
    return [c.file({"l.weight": weight})], dict(index=2 * 256 + 3, count=1)


def code_out_of_range(c):
    c.t[3, 7] = 5
    return [c.int8()], dict(index=3 * 256 + 7, count=1, expected="-1, 0 or 1", got="5")


def scale_non_finite(c):
    c.scales[1, 1] = np.inf
    return [c.int8()], dict(group=3, count=1, got="inf")


def scale_negative(c):
    c.scales[1, 1] = -.5
    return [c.int8()], dict(group=3, count=1, got="-0.5")


def scale_zero_under_codes(c):
    c.scales[1, 1] = 0
    return [c.int8()], dict(group=3, count=1)


def scale_reciprocal(c):
    weight, scales, t = c.latents()
    return c.projection(t / np.repeat(scales, 128, axis=1), weight), dict(layer="l.weight")


def dead_layer(c):
    return [c.file({"l.weight": np.zeros((4, 256), np.float32)})], dict(layer="l.weight", count=8)


def codes_differ(c):
    weight, scales, t = c.latents()
    at = int(np.flatnonzero(t)[9])
    t.flat[at] *= -1
    return (c.projection(t * np.repeat(scales, 128, axis=1), weight),
            dict(layer="l.weight", index=at, count=1, expected=True, got=True))


def scales_differ(c):
    weight, scales, t = c.latents()
    scales[1, 1] *= 2
    return (c.projection(t * np.repeat(scales, 128, axis=1), weight),
            dict(layer="l.weight", group=3, count=1, expected=True, got=True))


def missing_layer(c):
    weight, scales, t = c.latents()
    claim = c.file({"l.weight": (t * np.repeat(scales, 128, axis=1)).astype(np.float32)})
    return (c.against(claim, {"l.weight": weight, "m.weight": c.dense}),
            dict(layer="m.weight", expected="F32 [4, 256]"))


def renamed(c):
    return (c.against(c.file({"l.weight": c.dense}), c.dense, name="_orig_mod.l.weight"),
            dict(layer="_orig_mod.l.weight"))


def missing_tensor(c):
    weight, scales, t = c.latents()
    claim = c.file({"l.weight": (t * np.repeat(scales, 128, axis=1)).astype(np.float32)})
    return (c.against(claim, {"l.weight": weight, "l.bias": np.ones(4, np.float32)}),
            dict(tensor="l.bias", expected="F32 [4]"))


def other_tensor_differs(c):
    weight, scales, t = c.latents()
    claim = c.file({"l.weight": (t * np.repeat(scales, 128, axis=1)).astype(np.float32),
                    "l.bias": np.float32([1, 1, 2, 1])})
    return (c.against(claim, {"l.weight": weight, "l.bias": np.ones(4, np.float32)}),
            dict(tensor="l.bias", index=2, count=1, expected="1", got="2"))


def index_disagrees(c):
    save_folder(c.folder / "m", [{"l.weight": c.dense}, {"n.weight": c.dense}],
                weight_map={"o.weight": shard_name(2, 2)})
    return [c.folder / "m"], dict(tensor="o.weight")


def duplicate(c):
    save_folder(c.folder / "m", [{"l.weight": c.dense}, {"l.weight": c.dense, "m.weight": c.dense}])
    return [c.folder / "m"], dict(tensor="l.weight")


def extra_layer(c):
    weight, scales, t = c.latents()
    values = (t * np.repeat(scales, 128, axis=1)).astype(np.float32)
    return (c.against(c.file({"l.weight": values, "m.weight": c.dense}), weight),
            dict(layer="m.weight", got="F32 [4, 256]", severity="error"))


def extra_tensor(c):
    weight, scales, t = c.latents()
    values = (t * np.repeat(scales, 128, axis=1)).astype(np.float32)
    return (c.against(c.file({"l.weight": values, "l.bias": np.ones(4, np.float32)}), weight),
            dict(tensor="l.bias", got="F32 [4]", severity="error"))


def foreign_packing(c):
    return [c.file({"l.weight": c.dense, "m.qweight": np.ones((32, 64), np.int32),
                    "m.qzeros": np.ones((2, 8), np.int32),
                    "m.scales": np.ones((2, 64), np.float16)})], dict(tensor="m.qweight",
                                                                     got="I32 [32, 64]")


def unknown_dtype(c):
    return [c.file({"l.weight": c.dense, "m.weight": c.dense.astype(np.float64)})], dict(
        tensor="m.weight", got="F64 [4, 256]")


def kept_by_record(c):
    record = {"encoding": "dense", "group_size": 128, "partial_group": "padded",
              "layers": {"l.weight": {"dtype": "F32", "shape": [4, 256]}}}
    return [c.file({"l.weight": c.dense, "m.weight": c.dense},
                   metadata={"trit": json.dumps(record)})], dict(layer="m.weight")


def nothing_examined(c):
    return [c.file({"a.norm.weight": np.ones(4, np.float32)})], {}


def dead_groups(c):
    c.t[:3] = 0
    return [c.file({"l.weight": c.dense})], dict(layer="l.weight", count=6)


def scale_subnormal(c):
    c.scales[1, 1] = 1e-40
    return [c.int8()], dict(group=3, count=1, got=True)


def base3_non_canonical(c):
    data = c.blocks(claims.PTQ1_0)
    canonical = {-(-256 * q // 243) for q in range(243)}
    digits = {((b * 3**n & 255) * 3) >> 8: None for b in range(256) for n in range(5)}
    assert set(digits) == {0, 1, 2}
    data[1, 4] = next(b for b in range(256) if b not in canonical)
    return [c.file({"l.weight": data}), "-e", "ptq1_0"], dict(count=1)


def not_in_index(c):
    save_folder(c.folder / "m", [{"l.weight": c.dense}, {"m.weight": c.dense}])
    index = json.loads((c.folder / "m" / INDEX).read_text())
    del index["weight_map"]["m.weight"]
    (c.folder / "m" / INDEX).write_text(json.dumps(index))
    return [c.folder / "m"], dict(tensor="m.weight")


def scale_rounded(c):
    weight, scales, t = c.latents()
    half = scales.astype(np.float16).astype(np.float32)
    return c.projection(t * np.repeat(half, 128, axis=1), weight), dict(got="f16")


def rotated_basis(c):
    return [c.file({"l.weight": c.dense}, metadata={"prism.hadamard.block": "128"})], dict(
        tensor="prism.hadamard.block")


def threshold_differs(c):
    weight, scales, _ = c.latents()
    wide = np.repeat(scales, 128, axis=1)
    return (c.projection(np.where(np.abs(weight) > .7 * wide, np.sign(weight), 0) * wide, weight),
            dict(layer="l.weight", expected="0.5", got=True))


def granularity_differs(c):
    weight, _, _ = c.latents()
    scales = np.repeat(np.abs(weight.reshape(4, 4, 64)).mean(2, dtype=np.float64), 64, axis=1)
    scales = scales.astype(np.float32)
    return (c.projection(np.clip(np.rint(weight / scales), -1, 1) * scales, weight, "--tolerance",
                         "0.4"),
            dict(layer="l.weight", expected="128", got="64"))


def partial_group_differs(c):
    weight = c.latents()[0][:, :200]
    scales = np.concatenate([np.repeat(np.abs(part).mean(1, keepdims=True, dtype=np.float64),
                                       part.shape[1], axis=1)
                             for part in (weight[:, :128], weight[:, 128:])], axis=1)
    scales = scales.astype(np.float32)
    return (c.projection(np.clip(np.rint(weight / scales), -1, 1) * scales, weight),
            dict(layer="l.weight", expected="padded", got="exact"))


def config_disagrees(c):
    data, scales = packings.encode(claims.MLX_2BIT, c.t, c.scales)
    scales = np.frombuffer(scales, "<f2").reshape(4, 2)
    path = c.file({"l.weight": np.frombuffer(data, "<u4").reshape(4, 16), "l.scales": scales,
                   "l.biases": -scales})
    (c.folder / "config.json").write_text('{"quantization": {"group_size": 128, "bits": 4}}')
    return [path], dict(layer="l.weight", expected="4 bits in groups of 128",
                        got="2 bits in groups of 128")


MAKERS = [not_ternary, non_finite, code_out_of_range, scale_non_finite, scale_negative,
          scale_zero_under_codes, scale_reciprocal, dead_layer, codes_differ, scales_differ,
          missing_layer, renamed, missing_tensor, other_tensor_differs, index_disagrees, duplicate,
          extra_layer, extra_tensor, foreign_packing, unknown_dtype, kept_by_record,
          nothing_examined, dead_groups, scale_subnormal, base3_non_canonical, not_in_index,
          scale_rounded, rotated_basis, threshold_differs, granularity_differs,
          partial_group_differs, config_disagrees]


@pytest.mark.parametrize("make", MAKERS, ids=lambda one: one.__name__)
def test_a_file_with_this_fault(daemon, tmp_path, random, make):
    words, members = make(Case(random, tmp_path))
    done = cli(daemon, "verify", *words, "--json")
    assert done.returncode in (0, 1, 4), done.stderr
    found = schemas.read(done.stdout)["findings"]
    one, = [one for one in found if one["kind"] == make.__name__]
    members = {"severity": severities()[make.__name__]} | members
    for name, value in members.items():
        assert name in one if value is True else one.get(name) == value, (name, one)
    assert one.get("hint"), one
    assert done.returncode == max((EXIT[f["severity"]] for f in found),
                                  key=[0, 4, 1].index), found
    # The text says the same on one line.
    text = cli(daemon, "verify", *words).stdout
    line, = [line for line in text.splitlines()
             if re.match(rf"{one['severity']}: .*{make.__name__}\b", line)]
    for value in members.values():
        assert value is True or str(value) in line, (value, line)


def test_a_lost_scale(daemon, tmp_path, random):
    """scale_lost is made by project: refused, or a warning with --allow-lost."""
    case = Case(random, tmp_path)
    path = case.file({"l.weight": (case.latents()[0] * 1e-9)})
    words = ["project", path, "-o", tmp_path / "out.safetensors", "-e", "pq2_0"]
    done = cli(daemon, *words)
    assert done.returncode == 1 and "l.weight: scale_lost at group 0" in done.stderr
    assert "8 in all" in done.stderr and "--allow-lost" in done.stderr
    done = cli(daemon, *words, "--allow-lost", "--json")
    found = {one["kind"]: one for one in schemas.read(done.stdout)["findings"]}
    assert found["scale_lost"]["severity"] == "warning" and found["scale_lost"]["count"] == 8


def test_every_kind_has_a_file():
    made = {make.__name__ for make in MAKERS} | {"scale_lost", "truncated"} | UNUSED
    assert made == set(severities())


def cut_to(path, length):
    path.write_bytes((path.read_bytes() + bytes(16))[:length])


@pytest.mark.parametrize("against", [False, True])
def test_a_file_that_is_cut(daemon, tmp_path, random, against):
    """The tensors that are cut off are named with their bytes; the others are judged."""
    case = Case(random, tmp_path)
    latents = case.file({name: case.latents()[0] for name in ("a.weight", "b.weight")}, "in")
    out = tmp_path / "out.safetensors"
    assert cli(daemon, "project", latents, "-o", out).returncode == 0
    whole, words = out.stat().st_size, ("--against", latents) if against else ()
    cut_to(out, whole - 100)
    done = cli(daemon, "verify", out, "--json", *words)
    assert done.returncode == 1, done.stdout + done.stderr
    found = schemas.read(done.stdout)
    assert found["verdict"] == "fail" and [one["layer"] for one in found["layers"]] == ["a.weight"]
    one = found["findings"][0]
    bytes_of = out.stat().st_size + 100 - whole + 4096
    assert (one["kind"], one["tensor"], one["expected"], one["got"]) == (
        "truncated", "b.weight", "4096 bytes", f"{bytes_of - 100} bytes"), one
    assert "out.safetensors ends before it does" in one["hint"]
    for command in (("project", "-o", tmp_path / "again.safetensors"), ("inspect",)):
        done = cli(daemon, command[0], out, *command[1:])
        assert done.returncode == 3 and "truncated, 100 bytes are missing" in done.stderr


@pytest.mark.parametrize("length", [0, 7, 8, 60], ids=str)
def test_a_file_without_its_header_cannot_be_judged(tmp_path, random, length):
    path = Case(random, tmp_path).file({"l.weight": Raw("F32", (4, 256), bytes(4096))})
    cut_to(path, length)
    done = cli(None, "verify", path)
    assert done.returncode == 3 and not done.stdout, done.stdout


def test_a_cut_npy_file(daemon, tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.full((4, 256), .5, np.float32))
    cut_to(path, path.stat().st_size - 8)
    done = cli(daemon, "verify", path, "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    one, = [one for one in schemas.read(done.stdout)["findings"] if one["kind"] == "truncated"]
    assert (one["expected"], one["got"]) == ("4096 bytes", "4088 bytes")


def test_a_cut_shard(daemon, tmp_path, random):
    """The tensor is truncated, not missing from the shard that the index names."""
    case = Case(random, tmp_path)
    shards = [{f"{name}.weight": case.latents()[0]} for name in "ab"]
    save_folder(tmp_path / "in", shards)
    assert cli(daemon, "project", tmp_path / "in", "-o", tmp_path / "out",
               "--shard-size", "6KB").returncode == 0
    shard = sorted((tmp_path / "out").glob("*.safetensors"))[1]
    cut_to(shard, shard.stat().st_size - 1)
    done = cli(daemon, "verify", tmp_path / "out", "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    found = schemas.read(done.stdout)["findings"]
    one, = [one for one in found if one["kind"] == "truncated"]
    assert "index_disagrees" not in [one["kind"] for one in found]
    assert (one["kind"], one["tensor"], one["got"]) == ("truncated", "b.weight", "4095 bytes")
    assert shard.name in one["hint"]
