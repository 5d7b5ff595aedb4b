# SPDX-License-Identifier: Apache-2.0
"""The JSON of every command and of HTTP follows the schemas in docs/schema."""
import copy
import re
import urllib.error
import urllib.parse
import urllib.request

import jsonschema
import numpy as np
import pytest

import schemas
from checkpoints import bf16, f8, header_of, load, save
from claims import NAMES, project, verify
from folders import save_folder, shard_name
from tritd import CALL_SECONDS, ROOT, cli, tensor_pb2

ALL = schemas.schemas()


def printed(daemon, schema, *words, code=0):
    """The JSON of a command that must end with this exit code, as it is printed."""
    done = cli(daemon, *words, "--json")
    assert done.returncode == code, done.stdout[-300:] + done.stderr
    assert schemas.errors(schema, schemas.parse(done.stdout)) == []
    return done.stdout


def result(daemon, schema, *words, code=0):
    """The same with ints where JSON has strings of digits."""
    return schemas.read(printed(daemon, schema, *words, code=code))


def kinds(found):
    return {one["kind"] for one in found["findings"]}


@pytest.fixture
def latents(tmp_path, random):
    """Two layers, an embedding, a head, a router, a norm and a bias."""
    path = tmp_path / "latents.safetensors"
    save(path, {**{f"layers.{i}.fc.weight": normal(random, 8, 256) for i in range(2)},
                "model.embed_tokens.weight": normal(random, 16, 128),
                "lm_head.weight": bf16(normal(random, 16, 128)),
                "mlp.router.weight": normal(random, 4, 64),
                "norm.weight": np.ones(256, np.float32), "fc.bias": normal(random, 8)},
         {"format": "pt"})
    return path


def normal(random, *shape):
    return (random.standard_normal(shape) * .02).astype(np.float32)


def projected(daemon, source, name, *words):
    out = source.parent / f"{name}.safetensors"
    result(daemon, "project", "project", source, "-o", out, *words)
    return out


# ---- the schemas themselves ---------------------------------------------------------------

def nodes(value, path=""):
    """Every JSON object of a schema, with its path."""
    if isinstance(value, dict):
        yield path, value
    pairs = value.items() if isinstance(value, dict) else enumerate(
        value if isinstance(value, list) else [])
    for key, child in pairs:
        yield from nodes(child, f"{path}/{key}")


@pytest.mark.parametrize("name", ALL)
def test_schemas_are_valid_and_references_lead_somewhere(name):
    jsonschema.Draft202012Validator.check_schema(ALL[name])
    for path, node in nodes(ALL[name]):
        if isinstance(node.get("$ref"), str):
            file, _, inside = node["$ref"].partition("#")
            target = ALL[file.removesuffix(".json")] if file else ALL[name]
            for step in inside.split("/")[1:]:
                target = target[step]
            assert target, (path, node["$ref"])


@pytest.mark.parametrize("name", ALL)
def test_objects_are_closed_and_members_described(name):
    """An object lists all its members, or all its members are text (metadata of a file)."""
    for path, node in nodes(ALL[name]):
        if node.get("type") == "object" and path != "/$defs/members":
            assert node["additionalProperties"] in (False, {"type": "string"}), path
        if node.get("additionalProperties") is False:
            for member, schema in node["properties"].items():
                assert "description" in schema or "$ref" in schema, (path, member)
    members = ALL["report"]["$defs"]["members"]["properties"]
    assert all("description" in schema for schema in members.values())
    assert ALL["report"]["unevaluatedProperties"] is False


def names_in(file, pattern):
    found = re.findall(pattern, (ROOT / file).read_text(), re.S)
    assert found, (file, pattern)
    return set(found)


def returned(file, function):
    """The texts that a function returns."""
    body, = re.findall(rf"\*{function}\([^;]*?\)\n{{(.*?)\n}}", (ROOT / file).read_text(), re.S)
    return set(re.findall(r'return "(\w+)"', body))


def test_names_are_those_of_the_code():
    """A name in the code must be in the schema."""
    common, finding = ALL["common"]["$defs"], ALL["finding"]["properties"]
    listed = {"dtype": set(common["dtype"]["enum"]) - {None}}
    enums = {
        "DTYPES": listed["dtype"],
        "PARTIAL_GROUPS": set(common["partial_group"]["enum"]),
        "LAYER_KINDS": set(ALL["layer"]["properties"]["kind"]["enum"]),
    }
    text = (ROOT / "proto/names.h").read_text()
    for macro, names in enums.items():
        body, = re.findall(rf"#define {macro}\(X\)(.*?\n)(?!\s)", text, re.S)
        assert names == set(re.findall(r'"(\w+)"', body)), macro
    assert set(common["encoding"]["enum"]) == set(NAMES) == names_in(
        "kernels/layout.c", r'\[TRIT_ENCODING_\w+\] = {"(\w+)"')
    assert set(finding["kind"]["enum"]) == names_in(
        "proto/finding.c", r'\[TRIT_FINDING_\w+\] = {"(\w+)"')
    assert set(finding["severity"]["enum"]) == names_in(
        "proto/finding.c", r'\[TRIT_SEVERITY_\w+\] = "(\w+)"')
    assert set(common["verdict"]["enum"]) == returned("proto/finding.c", "verdict_name")
    assert set(common["role"]["enum"]) == returned("checkpoint/naming_text.c", "role_name")
    assert set(common["element_type"]["enum"]) == names_in(
        "server/files/element.c", r'{"(\w+)", \d+, TRIT_')
    action = ALL["plan"]["$defs"]["tensor"]["properties"]["action"]["enum"]
    assert set(action) == returned("checkpoint/plan_query.c", "plan_action_name")
    kind = ALL["inspect"]["properties"]["tensors"]["items"]["properties"]["kind"]["enum"]
    assert set(kind) == returned("checkpoint/contents_text.c", "content_kind_name")
    status = ALL["http-error"]["properties"]["error"]["properties"]["status"]["enum"]
    kernel = ALL["report"]["$defs"]["members"]["properties"]["kernel"]["enum"]
    assert set(kernel) - {""} == {name for path in (ROOT / "kernels/ternary").glob("*.c")
                                  for name in re.findall(r'KERNELS_TABLE\("(\w+)"', path.read_text())}
    assert {"OK", *status} == names_in("server/base/status.c", r'\[TRIT_\w+\] = "(\w+)"')


def test_every_command_has_a_schema():
    """Every command that `trit --help` lists has a schema."""
    def commands(*words):
        text = cli(None, *words, "--help").stdout
        return re.findall(r"^  (\w+) +\w", text, re.M)
    for command in commands():
        for name in ([f"layers-{one}" for one in commands("layers")] if command == "layers"
                     else [command]):
            assert name in ALL, name


# ---- trit project and the plan ------------------------------------------------------------

@pytest.mark.parametrize("encoding", ["dense", "int8", "pq2_0", "mlx_2bit", "hf_bitnet"])
def test_project_and_verify(daemon, latents, encoding, run):
    out = latents.parent / "out.safetensors"
    words = "project", latents, "-o", out, "-e", encoding
    plan = result(daemon, "plan", *words, "--dry-run")
    assert {one["action"] for one in plan["tensors"]} == {"ternarize", "keep"}
    done = result(daemon, "project", *words, "--run", run, "--report", f"{out}.json")
    assert done["verdict"] == "pass" and done["layers"][0]["run"] == run
    report = schemas.parse((out.parent / f"{out.name}.json").read_text())
    assert schemas.errors("project", report) == []
    for against in ([], ["--against", latents]):
        assert result(daemon, "verify", "verify", out, *against)["passed"]


def test_projections_with_findings(daemon, tmp_path):
    """Latents of zeros, and scales that f16 cannot represent."""
    path, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    low = np.full((4, 128), 1e-9, np.float32)
    low[:, ::2] *= -3
    save(path, {"dead.weight": np.zeros((4, 128), np.float32), "low.weight": low})
    words = "project", path, "-o", out, "-e", "pq2_0"
    assert {"dead_layer", "scale_lost"} <= kinds(
        result(daemon, "project", *words, "--allow-lost"))
    refused = cli(daemon, *words, "--force", "--json")
    assert refused.returncode == 1 and not refused.stdout.strip() and "scale_lost" in refused.stderr


def test_plans(daemon, tmp_path, latents, random):
    """Refused tensors, a refused input, experts of rank 3, transposed layers, a folder."""
    path = tmp_path / "in.safetensors"
    save(path, {"odd.weight": normal(random, 8, 100), "fc.weight": normal(random, 8, 256),
                "l.weight": f8(random, 64, 64), "l.weight_scale_inv": np.ones((1, 2), np.float32)})
    plan = result(daemon, "plan", "project", path, "--dry-run", "-e", "pq2_0", code=1)
    assert plan["refused"] >= 1
    assert {"refuse", "ternarize"} <= {one["action"] for one in plan["tensors"]}
    out = projected(daemon, latents, "out")
    assert "refusal" in result(daemon, "plan", "project", out, "--dry-run", code=1)
    save_folder(tmp_path / "model", [{"h.mlp.experts.gate_up_proj": normal(random, 4, 128, 256)},
                                     {"h.attn.c_attn.weight": normal(random, 128, 384)}])
    words = "--experts", "in_out", "--transposed", "*c_attn*"
    plan = result(daemon, "plan", "project", tmp_path / "model", "--dry-run", *words)
    experts, = [one for one in plan["tensors"] if "experts" in one["name"]]
    assert experts["matrices"] == 4 and experts["transposed"]
    found = result(daemon, "project", "project", tmp_path / "model", "-o", tmp_path / "t", *words)
    assert len(found["layers"]) == 5
    result(daemon, "verify", "verify", tmp_path / "t")
    result(daemon, "inspect", "inspect", tmp_path / "t")
    save(path, {"norm.weight": np.ones(8, np.float32), "fc.bias": np.float32(1)})
    plan = result(daemon, "plan", "project", path, "--dry-run", code=1)
    assert "bits_per_weight" not in plan and plan["parameters"] == {"ternary": 0, "kept": 9}


# ---- trit pack, trit unpack ---------------------------------------------------------------

def test_plans_of_pack_and_unpack(daemon, latents):
    """Layers are packed, the scales of the input are replaced, and layers that do not fit are
    refused."""
    dense = projected(daemon, latents, "dense", "-g", "256", "--exclude", "*[md]_*")
    int8 = projected(daemon, latents, "int8", "-e", "int8")
    for source, words in ((dense, ["pack", "-e", "tq2_0"]), (int8, ["pack", "-e", "q2_0", "-g", 64]),
                          (int8, ["unpack"]), (int8, ["unpack", "--dtype", "f16"])):
        plan = result(daemon, "plan", words[0], source, *words[1:], "--dry-run")
        assert {"pack", "keep"} <= {one["action"] for one in plan["tensors"]}, words
    plan = result(daemon, "plan", "pack", int8, "-e", "tq1_0", "-g", 256, "--dry-run", code=1)
    assert plan["refused"]


def test_pack_and_unpack(daemon, latents):
    int8 = projected(daemon, latents, "int8", "-e", "int8")
    packed, dense = latents.parent / "packed.safetensors", latents.parent / "dense.safetensors"
    found = result(daemon, "pack", "pack", int8, "-o", packed, "-e", "pq2_0", "--round-scales")
    assert found["layers"] == 4 and found["scales_rounded"] > 0
    found = result(daemon, "unpack", "unpack", packed, "-o", dense)
    assert found["encoding"] == "dense" and found["scales_rounded"] > 0  # lm_head is of bf16


# ---- trit verify --------------------------------------------------------------------------

def spoil(tensors, name, values):
    """Overwrites the scales of the first groups of an int8 layer."""
    scales = tensors[name + ".scales"].reshape(-1)
    scales[:len(values)] = values


def test_findings_of_layers(daemon, latents, random):
    out = projected(daemon, latents, "out", "-e", "int8")
    metadata = header_of(out)["__metadata__"]
    tensors = load(out)
    spoil(tensors, "layers.0.fc.weight", [np.nan, np.inf, -1, 0, 1e-40])
    tensors["layers.1.fc.weight"][2, 3] = 7
    tensors["model.embed_tokens.weight"][:] = 0
    tensors["norm.weight"][5] = 3
    del tensors["fc.bias"]
    tensors["more"] = np.ones(3, np.float32)
    save(out, tensors, metadata)
    found = result(daemon, "verify", "verify", out, code=1)
    assert {"scale_non_finite", "scale_negative", "scale_zero_under_codes", "scale_subnormal",
            "code_out_of_range", "dead_layer"} <= kinds(found)
    found = result(daemon, "verify", "verify", out, "--against", latents, code=1)
    assert {"codes_differ", "scales_differ", "other_tensor_differs", "missing_tensor",
            "extra_tensor"} <= kinds(found)


def test_weights_that_are_not_finite(daemon, tmp_path, random):
    weight = normal(random, 4, 256)
    weight[0, :3] = np.nan, np.inf, -np.inf
    weight[1] = np.nan
    save(tmp_path / "in.safetensors", {"fc.weight": weight})
    found = result(daemon, "verify", "verify", tmp_path / "in.safetensors", code=1)
    assert "non_finite" in kinds(found) and found["layers"][0]["non_finite"] == 259
    save(tmp_path / "in.safetensors", {"fc.weight": np.full((1, 128), np.nan, np.float32)})
    found = result(daemon, "verify", "verify", tmp_path / "in.safetensors", code=1)
    assert found["layers"][0]["mse"] is None


def test_inconclusive(daemon, tmp_path, random):
    path = tmp_path / "in.safetensors"
    save(path, {"mlp.router.weight": np.ones((8, 64), np.float32)})
    assert kinds(result(daemon, "verify", "verify", path, code=4)) == {"nothing_examined"}
    save(path, {"l.weight": f8(random, 64, 64), "l.weight_scale_inv": np.ones((1, 2), np.float32),
                "wide.weight": np.ones((4, 128))})
    assert {"foreign_packing", "unknown_dtype"} <= kinds(
        result(daemon, "verify", "verify", path, code=4))
    save(path, {})
    result(daemon, "verify", "verify", path, code=4)


def test_findings_of_folders(daemon, tmp_path, random):
    shards = [{f"layers.{i}.{name}.weight": normal(random, 8, 128) for name in ("up", "down")}
              for i in range(3)]
    save_folder(tmp_path / "model", shards, weight_map={"layers.0.up.weight": None})
    (tmp_path / "model" / shard_name(2, 3)).unlink()
    found = result(daemon, "verify", "verify", tmp_path / "model", code=1)
    assert {"index_disagrees", "not_in_index", "not_ternary"} <= kinds(found)
    result(daemon, "verify", "verify", tmp_path / "model", "--mode", "latent", code=1)


# ---- the commands that need no daemon -------------------------------------------------------

def test_inspect(daemon, tmp_path, latents, random):
    result(daemon, "inspect", "inspect", latents)
    for encoding in ("int8", "hf_bitnet", "mlx_2bit"):
        result(daemon, "inspect", "inspect", projected(daemon, latents, encoding, "-e", encoding))
    np.save(tmp_path / "one.npy", normal(random, 4, 128))
    assert result(daemon, "inspect", "inspect", tmp_path / "one.npy")["format"] == "npy"
    save(tmp_path / "in.safetensors", {"l.weight": f8(random, 64, 64), "scalar": np.float32(1),
                                       "l.weight_scale_inv": np.ones((1, 2), np.float32)})
    result(daemon, "inspect", "inspect", tmp_path / "in.safetensors")


def test_diff(daemon, latents):
    """Equal files, files of different encodings, and an infinite scale on one side."""
    dense, packed = projected(daemon, latents, "dense"), projected(daemon, latents, "i", "-e", "int8")
    assert result(daemon, "diff", "diff", dense, dense)["equal"]
    tensors = load(packed)
    spoil(tensors, "layers.0.fc.weight", [np.inf, np.nan, 9])
    tensors["layers.1.fc.weight"][0, 0] ^= 1
    tensors["norm.weight"][0] = 2
    del tensors["fc.bias"]
    save(packed, tensors, header_of(packed)["__metadata__"])
    found = result(daemon, "diff", "diff", dense, packed, code=1)
    by_name = {one["layer"]: one for one in found["layers"]}
    assert by_name["layers.0.fc.weight"]["scale_ratio_max"] is None
    assert {one.get("what") for one in found["tensors"]} >= {"1 elements differ", None,
                                                             "only in the first"}


# ---- trit reports, trit layers, trit ping, HTTP -----------------------------------------------

LAYER = "block 1/up%"


@pytest.fixture
def filed(daemon, random, run):
    """Two layers: three steps of one, and one with NaN."""
    values = normal(random, 8, 256)
    for step in (1, 2, 3):
        project(daemon, values + step / 500, layer=tensor_pb2.LayerRef(
            run=run, layer=LAYER, step=step))
    values[:] = np.nan
    verify(daemon, values.tobytes(), values.shape,
           layer=tensor_pb2.LayerRef(run=run, layer="nan"))
    return run


def test_reports(daemon, filed):
    for count, words in ((4, [filed]), (3, [filed, LAYER]), (1, [filed, LAYER, "--latest"]),
                         (2, [filed, "--latest"]), (1, [filed, LAYER, "--step", 2]),
                         (2, [filed, LAYER, "--from", 2, "--to", 3]), (0, [filed, "--from", 99])):
        found = result(daemon, "reports", "reports", *words)
        assert len(found["reports"]) == count, words
    assert result(daemon, "reports", "reports")["reports"]


def test_layers(daemon, tmp_path, random, name):
    weight, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    save(weight, {"fc.weight": normal(random, 24, 256)})
    result(daemon, "layers-create", "layers", "create", name + "/a", "--in-features", 64,
           "--out-features", 8, "--seed", 2**64 - 1, "--kind", "embedding", "--group-size", 64)
    result(daemon, "layers-load", "layers", "load", name + "/b", weight, "--keep-latents")
    assert len(result(daemon, "layers-list", "layers", "list", name)["layers"]) == 2
    got = result(daemon, "layers-get", "layers", "get", name + "/a")
    assert got["seed"] == 2**64 - 1
    for words in (["-e", "int8"], ["--part", "latents"]):
        result(daemon, "layers-get", "layers", "get", name + "/b", "-o", out, "--force", *words)
    assert result(daemon, "layers-verify", "layers", "verify", name)["is_ternary"]
    for one in "ab":
        result(daemon, "layers-delete", "layers", "delete", f"{name}/{one}")
    assert result(daemon, "layers-list", "layers", "list", name) == {"layers": []}
    assert result(daemon, "layers-verify", "layers", "verify", name, code=4) == {
        "is_ternary": False, "layers": []}


def test_integers_of_64_bits_are_strings(daemon, filed):
    """Steps, times, shapes and counts are strings of digits; those of 32 bits are numbers."""
    text = printed(daemon, "reports", "reports", filed, LAYER, "--step", 2)
    report, = schemas.parse(text)["reports"]
    for name in ("step", "time_unix_ns", "groups", "elements", "zeros", "flips", "previous_step"):
        assert isinstance(report[name], str) and report[name] == str(int(report[name])), name
    assert report["shape"] == ["8", "256"] and report["step"] == "2"
    assert all(isinstance(count, str) for count in report["transitions"])
    assert report["group_size"] == 128 and isinstance(report["zero_fraction"], float)


def test_ping(daemon):
    assert result(daemon, "ping", "ping")["serving"]
    assert result(daemon, "ping", "ping", "--service", "trit.v1.Ternary")["service"]


def http(daemon, schema, path, status=200):
    try:
        with urllib.request.urlopen(f"http://{daemon.http}{path}", timeout=CALL_SECONDS) as reply:
            found, body = reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            found, body = error.code, error.read()
    assert found == status, body
    assert schemas.errors(schema, schemas.parse(body)) == []
    return schemas.read(body)


def test_http(daemon, filed):
    runs = f"/v1/runs/{urllib.parse.quote(filed, '')}/layers"
    layer = f"{runs}/{urllib.parse.quote(LAYER, '')}"
    http(daemon, "http-runs", "/v1/runs")
    assert len(http(daemon, "http-layers", runs)["layers"]) == 2
    assert http(daemon, "http-layer", layer)["step"] == 3
    assert http(daemon, "http-layer", layer + "?step=2")["flips"] is not None
    http(daemon, "http-layer", runs + "/nan")
    assert len(http(daemon, "http-history", layer + "?from=2&to=3")["reports"]) == 2
    assert http(daemon, "http-history", layer + "?from=9")["reports"] == []
    http(daemon, "http-error", layer + "?step=two", 400)
    http(daemon, "http-jobs", "/v1/jobs")
    http(daemon, "http-error", "/v1/runs/none/layers", 404)
    http(daemon, "http-error", "/none", 404)


def test_pages_of_http(daemon, run):
    """A history of more than one page links to the next."""
    values = np.ones((1, 8), np.float32)
    for step in range(201):
        project(daemon, values, layer=tensor_pb2.LayerRef(run=run, layer="l", step=step))
    page = http(daemon, "http-history", f"/v1/runs/{run}/layers/l?from=0")
    assert len(page["reports"]) == 200
    assert http(daemon, "http-history", page["next"])["next"] is None


# ---- the schemas refuse wrong JSON ---------------------------------------------------------

@pytest.fixture
def good(daemon, latents):
    return schemas.parse(printed(daemon, "verify", "verify", latents, code=1))


@pytest.mark.parametrize("path, value", [
    (["made_up"], 1), (["layers", 0, "made_up"], 1), (["findings", 0, "made_up"], 1),
    (["others", 0, "made_up"], 1), (["layers", 0, "findings", 0, "layer"], "l"),
    (["verdict"], "passed"), (["layers", 0, "verdict"], None), (["findings", 0, "kind"], "new"),
    (["findings", 0, "severity"], "bad"), (["encoding"], "q4_0"), (["layers", 0, "dtype"], "F32"),
    (["others", 0, "dtype"], "f32"), (["examined"], 12), (["examined"], "-1"), (["examined"], "1.5"),
    (["examined"], None), (["examined"], "012"), (["examined"], ""), (["passed"], 1), (["share_examined"], 1.01),
    (["layers", 0, "mse"], "0.1"), (["layers", 0, "zeros"], None), (["layers", 0, "shape"], []),
    (["layers", 0, "transitions"], [0] * 8), (["layers", 0, "digest"], "0x12"),
    (["layers", 0, "kernel"], "sse2"), (["findings", 0], "not_ternary"), (["layers"], {}),
])
def test_a_wrong_member_is_refused(good, path, value):
    bad = copy.deepcopy(good)
    place = bad
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert schemas.errors("verify", bad)


def test_a_missing_member_is_refused(good):
    for place in ([], ["layers", 0], ["others", 0]):
        whole = good
        for step in place:
            whole = whole[step]
        for member in whole:
            bad = copy.deepcopy(good)
            inside = bad
            for step in place:
                inside = inside[step]
            del inside[member]
            assert schemas.errors("verify", bad), (place, member)


def test_a_plan_with_a_layer_s_members_in_the_wrong_place_is_refused(daemon, latents):
    plan = schemas.parse(printed(daemon, "plan", "project", latents, "--dry-run"))
    for action in ("keep", "ternarize", "refuse", "pack"):
        for at, one in enumerate(plan["tensors"]):
            bad = copy.deepcopy(plan)
            bad["tensors"][at]["action"] = action
            layer = one["action"] == "ternarize"
            assert bool(schemas.errors("plan", bad)) != (layer == (action in ("ternarize", "pack")))


def test_output_that_is_no_json_is_refused():
    for text in ('{"ms": NaN}', '{"ms": Infinity}', "{"):
        with pytest.raises((AssertionError, ValueError)):
            schemas.check(["ping", "--json"], text)
    with pytest.raises(AssertionError):
        schemas.check(["ping", "--json"], '{"serving": true, "service": ""}')
