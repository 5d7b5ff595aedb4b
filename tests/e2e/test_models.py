# SPDX-License-Identifier: Apache-2.0
"""Whole checkpoints through every command: Qwen3, two mixtures of experts and GPT-2, sharded,
bf16, with tied embeddings. Every number of every output is compared with NumPy's."""
import collections
import csv
import json
import re
from typing import NamedTuple

import numpy as np
import pytest

import models
import outputs
import reference as ref
import schemas
from checkpoints import bf16, header_of, load, raw
from folders import INDEX, load_folder, save_folder
from tritd import cli

ENCODINGS = ["dense", "int8", "pq2_0", "hf_bitnet", "mlx_2bit"]
SHARD_BYTES = 300_000
QUANTIZATION = {"hf_bitnet": ("quantization_config",),
                "mlx_2bit": ("quantization", "quantization_config")}


class Case(NamedTuple):
    """A model, an encoding, and the output of trit when it projected the model."""

    model: models.Model
    encoding: str
    words: tuple
    out: object
    plan: dict
    result: dict
    report: object

    @property
    def layers(self):
        return [name for name in self.model.weights
                if outputs.is_layer(self.model, name, self.encoding)]

    @property
    def matrices(self):
        return [one for name in self.layers
                for one in outputs.matrices(self.model, name, self.encoding)]

    @property
    def tensors(self):
        """The output, by name."""
        return {name: tensor for source in self.model.weights for name, tensor in
                outputs.tensors_of(self.model, source, self.encoding).values()}

    @property
    def parameters(self):
        """The parameters of the layers, and of the rest."""
        ternary = sum(self.model.weights[name].size for name in self.layers)
        return ternary, sum(one.size for one in self.model.weights.values()) - ternary


def result(daemon, *words, code=0):
    done = cli(daemon, *words, "--json")
    assert done.returncode == code, done.stdout[-500:] + done.stderr
    return schemas.read(done.stdout)


def exclusions(model, encoding):
    """mlx_2bit has no names for experts of rank 3, and hf_bitnet no form."""
    if encoding not in ("mlx_2bit", "hf_bitnet") or all(name.endswith(".weight") for name in model.layers):
        return ()
    return ("--exclude", "*.experts.gate_up_proj", "--exclude", "*.experts.down_proj")


@pytest.fixture(scope="module", params=["qwen3", "qwen3_moe", "llama4", "gpt2"])
def model(request, tmp_path_factory):
    make = getattr(models, request.param)
    return make(tmp_path_factory.mktemp(request.param) / "latents", np.random.default_rng(12))


@pytest.fixture(scope="module", params=ENCODINGS)
def case(request, daemon, model):
    encoding = request.param
    words = ("-e", encoding, *exclusions(model, encoding))
    out = model.folder.parent / encoding
    report = out.with_suffix(".csv")
    plan = result(daemon, "project", model.folder, "--dry-run", *words)
    return Case(model, encoding, words, out, plan,
                result(daemon, "project", model.folder, "-o", out, *words, "--shard-size",
                       SHARD_BYTES, "--report", report), report)


@pytest.fixture(scope="module")
def dense(daemon, model):
    """The dense projection. Its scales are bf16 values that are exact in f16."""
    out = model.folder.parent / "dense-one"
    result(daemon, "project", model.folder, "-o", out)
    return out


def size_of(tensor):
    return len(tensor.data)


def check_report(found, one, scales, values=None, reference=None):
    """Compares a layer's report with NumPy."""
    wanted = outputs.counts(one, scales)
    assert {key: found[key] for key in wanted} == wanted, one.name
    assert found["scale_mean"] == pytest.approx(scales.astype(np.float64).mean(), rel=1e-9)
    if values is None:
        assert [found[key] for key in ("mse", "sqnr_db", "cosine")] == [None, None, None]
    else:
        wanted = outputs.errors(one, values)
        assert {key: found[key] for key in wanted} == pytest.approx(wanted, rel=1e-6), one.name
    assert found["layer"] == one.name and found["reference_mismatches"] == reference
    assert found["sample_values"] == [-1.0, 0.0, 1.0] and found["findings"] == []


def test_plan(case):
    """The plan has the action for each tensor, and the sums over all."""
    model, tensors, layer_bytes = case.model, case.plan["tensors"], 0
    assert [one["name"] for one in tensors] == list(model.weights)
    for one in tensors:
        name, weights = one["name"], model.weights[one["name"]]
        assert (one["dtype"], one["shape"], one["parameters"]) == (
            "BF16", list(weights.shape), weights.size)
        wanted = outputs.tensors_of(model, name, case.encoding)
        assert [(o["role"], o["name"], o["dtype"], tuple(o["shape"]), o["bytes"])
                for o in one["outputs"]] == [
            (role, *(made, tensor.dtype, tuple(tensor.shape), size_of(tensor)))
            for role, (made, tensor) in wanted.items()]
        if name not in case.layers:
            assert one["action"] == "keep" and one["reason"]
            continue
        parts = outputs.matrices(model, name, case.encoding)
        assert one["action"] == "ternarize" and "reason" not in one
        turned = name in model.turned
        assert (one["encoding"], one["partial_group"], one["transposed"]) == (
            case.encoding, "padded", turned)
        assert one["outputs"][0].get("transposed", False) == (
            turned and case.encoding in ("dense", "int8"))
        assert one["group_size"] == (0 if case.encoding == "hf_bitnet" else outputs.GROUP)
        assert one["matrix"] == list(parts[0].weights.shape) and one["matrices"] == len(parts)
        assert one["groups"] == sum(part.scales.size for part in parts)
        layer_bytes += sum(size_of(tensor) for _, tensor in wanted.values())
    ternary, kept = case.parameters
    assert case.plan["parameters"] == {"ternary": ternary, "kept": kept}
    assert case.plan["bytes"] == {"before": 2 * (ternary + kept),
                                  "after": sum(map(size_of, case.tensors.values()))}
    assert case.plan["bits_per_weight"] == pytest.approx(8 * layer_bytes / ternary, rel=1e-12)
    assert case.plan["refused"] == 0 and "refusal" not in case.plan


def test_plan_in_words(daemon, case):
    """The printed plan has the same sums."""
    done = cli(daemon, "project", case.model.folder, "--dry-run", *case.words)
    ternary, kept = case.parameters
    found = re.search(r"(\d+) layers become ternary \((\w+)\), (\d+) tensors are kept, (\d+) are "
                      r"refused\s+([\d.]+) % of (\d+) parameters become ternary; (\d+) bytes become "
                      r"(\d+); ([\d.]+) bits a ternary weight", done.stdout)
    assert found.groups() == (
        str(len(case.layers)), case.encoding, str(len(case.model.weights) - len(case.layers)), "0",
        f"{100 * ternary / (ternary + kept):.1f}", str(ternary + kept),
        str(case.plan["bytes"]["before"]), str(case.plan["bytes"]["after"]),
        f"{case.plan['bits_per_weight']:.3f}")


def test_output(case):
    """Every tensor has the bytes that NumPy computes; shards, index, config.json and small files
    have the layout of a hub's checkpoint."""
    found = load_folder(case.out)
    assert set(found) == set(case.tensors)
    for name, wanted in case.tensors.items():
        assert raw(found[name]) == wanted, name
    files = {path.name for path in case.out.iterdir()}
    shards = sorted(name for name in files if name.endswith(".safetensors"))
    small = {path.name for path in case.model.folder.iterdir() if "safetensors" not in path.name}
    many = len(shards) > 1
    assert files == small | set(shards) | ({INDEX} if many else set())
    for name in small - {"config.json"}:
        assert (case.out / name).read_bytes() == (case.model.folder / name).read_bytes()
    assert many == (case.plan["bytes"]["after"] > SHARD_BYTES)
    where = {name: shard for shard in shards for name in load(case.out / shard)}
    for shard in shards:
        header = header_of(case.out / shard)
        assert header.pop("__metadata__")["format"] == "pt"
        sizes = [end - begin for begin, end in (one["data_offsets"] for one in header.values())]
        assert sum(sizes) <= SHARD_BYTES or len(sizes) == 1
    if many:
        index = json.loads((case.out / INDEX).read_text())
        assert index["weight_map"] == where
        assert index["metadata"]["total_size"] == case.plan["bytes"]["after"]


def test_config(case):
    """config.json equals the input's plus the block that readers of the encoding need."""
    config = json.loads((case.out / "config.json").read_text())
    blocks = {key: config.pop(key) for key in QUANTIZATION.get(case.encoding, ())}
    assert config == case.model.config
    if case.encoding == "mlx_2bit":
        assert list(blocks.values()) == 2 * [{"group_size": 128, "bits": 2}]
    if case.encoding == "hf_bitnet":
        kept = [name.removesuffix(".weight") for name, one in case.model.weights.items()
                if one.ndim == 2 and name not in case.layers + list(case.model.tables)
                and "wpe" not in name]  # linear layers alone
        assert blocks["quantization_config"] == {
            "quant_method": "bitnet", "linear_class": "autobitlinear",
            "quantization_mode": "offline", "use_rms_norm": False,
            "modules_to_not_convert": kept}


def test_project(case):
    """Counts, shares, scales, errors and digests of every matrix equal NumPy's."""
    ternary, kept = case.parameters
    said, parts = case.result, case.matrices
    assert (said["ternary"], said["kept"]) == (ternary, kept)
    assert said["share_ternary"] == pytest.approx(ternary / (ternary + kept), rel=1e-12)
    assert said["passed_through"] == len(case.model.weights) - len(case.layers)
    assert (said["verdict"], said["findings"], said["is_ternary"]) == ("pass", [], True)
    assert [one["name"] for one in said["others"]] == [
        name for name, one in case.model.weights.items() if one.ndim > 1 and
        name not in case.layers]
    for one in said["others"]:
        assert one["parameters"] == case.model.weights[one["name"]].size
    assert len(said["layers"]) == len(parts)
    for found, one in zip(said["layers"], parts):
        plain = one._replace(held=one.scales).values  # errors are those of the unrounded scale
        check_report(found, one, one.scales, plain)
        assert found["dtype"] == "bf16"


@pytest.mark.parametrize("against", [False, True], ids=["alone", "against"])
def test_verify(daemon, case, against):
    """A verification passes, examines every projected layer, and has the projection's digests;
    with the latents its errors are those of the output's values."""
    words = case.words[2:] + (("--against", case.model.folder) if against else ())
    said, parts = result(daemon, "verify", case.out, *words), case.matrices
    ternary, kept = case.parameters
    assert (said["verdict"], said["passed"], said["findings"]) == ("pass", True, [])
    assert (said["examined"], said["kept"], said["encoding"]) == (ternary, kept, case.encoding)
    assert said["share_examined"] == pytest.approx(ternary / (ternary + kept), rel=1e-12)
    assert ([one | {"what": ""} for one in said["others"]] ==  # why hf_bitnet keeps experts is told otherwise
            [one | {"what": ""} for one in case.result["others"]])
    found = {one["layer"]: one for one in said["layers"]}
    assert len(said["layers"]) == len(found) == len(parts)
    for one in parts:
        check_report(found[one.name], one, one.held, one.values if against else None,
                     0 if against else None)


def test_what_the_record_kept_is_undecided(daemon, case):
    """Layers that were excluded from the projection make a verification inconclusive and are
    named, unless it gets the same exclusions; with the latents they are compared byte for
    byte."""
    excluded = {name for name in case.model.layers if not name.endswith(".weight")}
    if case.encoding not in ("mlx_2bit", "hf_bitnet") or not excluded:
        return
    said = result(daemon, "verify", case.out, code=4)
    assert {one["layer"] for one in said["findings"]} == excluded
    assert {one["kind"] for one in said["findings"]} == {"kept_by_record"}
    result(daemon, "verify", case.out, "--accept-record")
    result(daemon, "verify", case.out, "--against", case.model.folder)


def test_report_file(daemon, case):
    """The table of --report has the numbers of the JSON, one line per matrix, in every
    format."""
    rows = list(csv.DictReader(case.report.open(newline="")))
    assert [row["layer"] for row in rows] == [one.name for one in case.matrices]
    numbers = ("elements", "negatives", "zeros", "positives", "zero_groups", "scale_min",
               "scale_mean", "scale_max", "mse", "cosine", "sqnr_db")
    for row, one in zip(rows, case.result["layers"]):
        assert (row["verdict"], row["layer_verdict"]) == ("pass", "pass")
        assert row["shape"] == "x".join(map(str, one["shape"]))
        assert row["digest"] == one["digest"]
        for key in numbers:
            assert float(row[key]) == pytest.approx(one[key], rel=1e-8, abs=0), key
    texts = {suffix: case.report.with_name(f"{case.encoding}-verify.{suffix}")
             for suffix in ("json", "md")}
    for path in texts.values():
        done = cli(daemon, "verify", case.out, *case.words[2:], "--report", path)
        assert done.returncode == 0, done.stdout
    saved = schemas.read(texts["json"].read_text())
    assert saved["verdict"] == "pass" and saved["examined"] == case.parameters[0]
    assert [one["layer"] for one in saved["layers"]] == [one.name for one in case.matrices]
    lines = texts["md"].read_text().splitlines()
    assert lines[0] == "# pass" and f"{len(case.matrices)} layers" in lines[2]
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(case.matrices)
    for line, one in zip(table[2:], saved["layers"]):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[0].replace("\\", "") == one["layer"] and cells[-1] == one["digest"]
        assert [float(cell) if cell else None for cell in cells[3:-1]] == [
            one[key] if one[key] is None else pytest.approx(one[key], rel=1e-8)
            for key in numbers]


def test_inspect(daemon, case):
    """inspect tells layers and tables apart, and their types and shapes."""
    said = result(daemon, "inspect", case.out)
    found = {one["name"]: one for one in said["tensors"]}
    assert set(found) == set(case.tensors)
    for source in case.model.weights:
        for role, (name, tensor) in outputs.tensors_of(case.model, source,
                                                       case.encoding).items():
            one = found[name]
            assert (one["dtype"], one["shape"]) == (tensor.dtype, list(tensor.shape))
            kind = "kept" if source not in case.layers else "layer" if role == "data" else "scales"
            assert one["kind"] in (kind, "excluded", "kept_by_record"), name


def ratio(a, b):
    """The largest ratio of two scales of an element that is nonzero."""
    both = [(x, y) for x, y in zip(a, b)]
    return max((max(float(x) / float(y), float(y) / float(x)) for x, y in both if x and y),
               default=1)


def test_diff(case, dense):
    """The differences to the dense projection: codes, scales and all other tensors, by name."""
    done = cli(None, "diff", dense, case.out, "--json")
    said = schemas.read(done.stdout)
    layers = {one["layer"]: one for one in said["layers"]}
    others = {one["tensor"]: one for one in said["tensors"]}
    plain = [name for name in case.model.weights
             if outputs.is_layer(case.model, name, "dense")]
    assert set(layers) | set(others) == set(case.model.weights) and not set(layers) & set(others)
    for name in case.layers:
        a = outputs.matrices(case.model, name, "dense")
        b = outputs.matrices(case.model, name, case.encoding)
        x, y = (np.concatenate([one.values.ravel() for one in side]) for side in (a, b))
        t, u = (np.concatenate([one.codes.ravel() for one in side]) for side in (a, b))
        one = layers[name]
        table = np.zeros((3, 3), int)
        np.add.at(table, (t + 1, u + 1), 1)
        magnitudes = int(((t != 0) & (u != 0) & (np.abs(x) != np.abs(y))).sum())
        equal = bool((x == y).all())
        assert (one["elements"], one["codes_differing"]) == (t.size, int((t != u).sum()))
        assert one["transitions"] == table.ravel().tolist()
        assert (one["magnitudes_differing"], one["equal"]) == (magnitudes, equal)
        assert one.get("first") == (None if equal else int(np.flatnonzero(x != y)[0]))
        if case.encoding != "hf_bitnet":
            scales = [np.concatenate([part.held.ravel() for part in side]) for side in (a, b)]
            assert one["scale_ratio_max"] == pytest.approx(ratio(*scales), rel=1e-6)
    for name in set(plain) - set(case.layers):
        assert name in layers or not others[name]["equal"]
    for name in set(case.model.weights) - set(plain):
        assert others[name]["equal"]
    assert said["equal"] == (done.returncode == 0)
    assert said["equal"] == all(one["equal"] for one in said["layers"] + said["tensors"])


# ---- what is ternary already -----------------------------------------------------------------

PACKED = ["int8", "pq2_0", "mlx_2bit"]


@pytest.mark.parametrize("encoding", PACKED)
def test_pack_and_unpack(daemon, model, dense, encoding):
    """Packing keeps codes and scales; unpacking restores the values except for the sign of zero;
    diff and verify see no difference."""
    exclude = exclusions(model, encoding)
    packed, back = (dense.with_name(f"{name}-{encoding}") for name in ("packed", "back"))
    words = ("-e", encoding, "--shard-size", SHARD_BYTES, *exclude)
    plan = result(daemon, "pack", dense, "--dry-run", *words)
    said = result(daemon, "pack", dense, "-o", packed, *words)
    layers = [name for name in model.weights if outputs.is_layer(model, name, encoding)]
    assert (said["layers"], said["scales_rounded"]) == (len(layers), 0)
    assert said["passed_through"] == len(model.weights) - len(layers)
    assert [one["name"] for one in plan["tensors"] if one["action"] == "pack"] == layers
    assert plan["parameters"]["ternary"] == sum(model.weights[name].size for name in layers)
    found = load_folder(packed)
    assert plan["bytes"]["after"] == sum(size_of(raw(one)) for one in found.values())
    for name in layers:
        parts = outputs.matrices(model, name, "dense")
        wanted = outputs.packed(model, name, encoding, parts, [one.held for one in parts])
        for made, tensor in wanted.values():
            assert raw(found[made]) == tensor, made
    result(daemon, "verify", packed, *exclude)
    said = schemas.read(cli(None, "diff", dense, packed, "--json").stdout)
    assert said["equal"]
    said = result(daemon, "unpack", packed, "-o", back)
    # Layers that were not packed are in the record too, as dense ones.
    every = [name for name in model.weights if outputs.is_layer(model, name, "dense")]
    assert (said["layers"], said["encoding"]) == (len(every), "dense")
    config, unpacked = (json.loads((one / "config.json").read_text()) for one in (packed, back))
    assert {key: config[key] for key in QUANTIZATION.get(encoding, ())} == dict.fromkeys(
        QUANTIZATION.get(encoding, ()), {"group_size": 128, "bits": 2})
    assert unpacked == model.config  # nothing says that it is packed
    source, last = load_folder(dense), load_folder(back)
    assert set(source) == set(last)
    for name, tensor in source.items():
        a, b = (ref.widen(raw(one).data, ref.BF16) for one in (tensor, last[name]))
        assert last[name].dtype == "BF16" and last[name].shape == tensor.shape
        np.testing.assert_array_equal(a, b)
        if name in layers:
            assert not np.signbit(b[b == 0]).any()
        else:
            assert tensor == last[name]


def test_pack_rounds_only_where_it_may(daemon, model):
    """f32 scales that are not exact in f16 are refused, naming the first layer and group;
    --round-scales gives the same result as a projection, and counts them."""
    source = model.folder.parent / "int8-to-pack"
    result(daemon, "project", model.folder, "-o", source, "-e", "int8")
    out = source.with_name("rounded")
    done = cli(daemon, "pack", source, "-o", out, "-e", "pq2_0")
    assert done.returncode == 1 and not out.exists()
    first = model.tables[0]
    assert first in done.stderr and "group 0" in done.stderr
    said = result(daemon, "pack", source, "-o", out, "-e", "pq2_0", "--round-scales")
    scales = np.concatenate([one.scales.ravel() for name in model.weights
                             if outputs.is_layer(model, name, "int8")
                             for one in outputs.matrices(model, name, "int8")])
    assert said["scales_rounded"] == int((scales.astype(np.float16) != scales).sum())
    found = load_folder(out)
    for name in model.weights:
        wanted, = outputs.tensors_of(model, name, "pq2_0").values()
        assert raw(found[name]) == wanted[1], name


def test_unpack_counts_what_it_rounds(daemon, model):
    """The type of the latents does not hold the scales of pq2_0: unpack rounds them once, and says
    how many; f32 holds all."""
    source = model.folder.parent / "pq2_0-to-unpack"
    result(daemon, "project", model.folder, "-o", source, "-e", "pq2_0")
    out = source.with_name("unpacked")
    for words, dtype in ((("--dtype", "f32"), None), ((), ref.BF16)):
        said = result(daemon, "unpack", source, "-o", out, "--force", *words)
        found = load_folder(out)
        rounded = 0
        for name in model.weights:
            if not outputs.is_layer(model, name, "pq2_0"):
                continue
            parts = []
            for one in outputs.matrices(model, name, "pq2_0"):
                held = one.held
                if dtype:
                    held = outputs.held("dense", held)
                    rounded += int((held != one.held).sum())
                parts.append(one._replace(held=held).values)
            wanted = np.stack(parts) if model.weights[name].ndim == 3 else parts[0]
            if name in model.turned:
                wanted = wanted.swapaxes(-1, -2)
            made = raw(found[name])
            values = ref.widen(made.data, dtype or ref.F32).reshape(made.shape)
            np.testing.assert_array_equal(values, wanted)
        assert said["scales_rounded"] == rounded and (rounded > 0) == (dtype is not None)


def test_damage_is_found_in_its_layer(daemon, model, dense, tmp_path):
    """A changed code, a changed norm and a lost tensor are each a finding that names the tensor,
    and diff counts them."""
    tensors = {name: raw(one) for name, one in load_folder(dense).items()}
    layer, norm = model.layers[0], "model.norm.weight"
    lost = next(name for name, one in tensors.items() if len(one.shape) == 1)
    values = ref.widen(tensors[layer].data, ref.BF16).copy()
    stored = int(np.flatnonzero(values > 0)[5])
    values[stored] = 0
    at = stored
    if layer in model.turned:  # positions are those of [out, in]
        inner, outer = model.weights[layer].shape
        at = stored % outer * inner + stored // outer
    tensors[layer] = bf16(values.reshape(tensors[layer].shape))
    tensors[norm] = bf16(np.full(tensors[norm].shape, 2, np.float32))
    del tensors[lost]
    names = list(tensors)
    save_folder(tmp_path / "damaged", [{name: tensors[name] for name in part}
                                       for part in (names[:7], names[7:])], model.config)
    said = result(daemon, "verify", tmp_path / "damaged", "--against", model.folder, code=1)
    kinds = collections.defaultdict(list)
    for one in said["findings"]:
        kinds[one["kind"]].append(one)
    assert [one["layer"] for one in kinds["codes_differ"]] == [layer]
    assert (kinds["codes_differ"][0]["count"], kinds["codes_differ"][0]["index"]) == (1, at)
    assert [one["tensor"] for one in kinds["other_tensor_differs"]] == [norm]
    assert [one["tensor"] for one in kinds["missing_tensor"]] == [lost]
    assert {one["kind"] for one in said["findings"] if one["severity"] == "error"} == {
        "codes_differ", "other_tensor_differs", "missing_tensor"}
    said = schemas.read(cli(None, "diff", dense, tmp_path / "damaged", "--json").stdout)
    differing = [one for one in said["layers"] if not one["equal"]]
    assert [(one["layer"], one["codes_differing"], one["first"]) for one in differing] == [
        (layer, 1, at)]
    assert sorted(one["tensor"] for one in said["tensors"] if not one["equal"]) == sorted(
        [lost, norm])
