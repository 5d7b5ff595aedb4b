# SPDX-License-Identifier: Apache-2.0
"""Checkpoints.Pack writes the files that `trit pack` and `trit unpack` write, byte for byte, and
Checkpoints.Diff finds what `trit diff` finds."""
import json

import grpc
import numpy as np
import pytest

import schemas
import transformers_models as models
from checkpoints import bf16, header_of, load, save
from folders import save_folder
from jobs import gathered
from test_checkpoints import path_of, place, same_as_cli, service  # noqa: F401
from test_cli_pack import scaled
from test_jobs import save_endless, save_zeros
from test_jobs_project import contents
from tritd import SLOW, cli, refused

ENCODINGS = {"dense": 0, "int8": 1, "pq2_0": 2, "q2_0": 3, "ptq1_0": 4, "tq1_0": 5, "tq2_0": 6,
             "mlx_2bit": 7, "i2_s": 8, "hf_bitnet": 9}


def words_of(encoding, group_size, dtype):
    """The command without paths, and the same as fields of a request."""
    words = ["unpack"] if encoding == "dense" else ["pack", "-e", encoding]
    words += ["-g", str(group_size)] if group_size else []
    words += ["--dtype", dtype] if dtype else []
    return words, {"encoding": ENCODINGS[encoding], "group_size": group_size,
                   "dtype": {"": 0, "f32": 1, "f16": 2, "bf16": 3}[dtype]}


def both(daemon, service, source, name, encoding, group_size=0, dtype="", keep_names=False):
    """Packs by the daemon and by trit; outputs and results must be equal."""
    out = source.parent / name
    words, fields = words_of(encoding, group_size, dtype)
    if keep_names:
        words.append("--keep-names")
        fields["options"] = {"keep_names": True}
    result = service.run("Pack", path_of(daemon, source), output=path_of(daemon, out), **fields)
    assert result.verdict == "pass"
    by_daemon = out.with_name("daemon-" + name)
    out.rename(by_daemon)
    same_as_cli(daemon, result, words[0], path_of(daemon, source), "-o", path_of(daemon, out), *words[1:],
                code=0)
    assert contents(out) == contents(by_daemon), (source, encoding)
    last = result.messages[-1]
    assert last.tensors_done == last.tensors_total > 0 and last.bytes_done == last.bytes_total > 0
    return out, result


def one_scale(random, rows, columns):
    """Ternary weights of one scale, which every encoding holds."""
    return random.integers(-1, 2, (rows, columns)).astype(np.float32) * np.float32(.375)


def small(place, random):
    path = place / "dense.safetensors"
    save(path, {"l.weight": one_scale(random, 8, 512), "m.weight": bf16(one_scale(random, 4, 256)),
                "norm.weight": np.ones(512, np.float32)})
    return path


CHAINS = [  # each step packs what the one before wrote
    [("a.gguf", "pq2_0"), ("b.safetensors", "hf_bitnet"), ("c.safetensors", "mlx_2bit", 64),
     ("d.safetensors", "dense", 0, "bf16"), ("e.gguf", "i2_s"), ("f.safetensors", "int8", 128)],
    [("a.safetensors", "int8", 256), ("b.gguf", "tq2_0"), ("c.safetensors", "q2_0"), ("d.gguf", "i2_s"),
     ("e.safetensors", "hf_bitnet"), ("f.safetensors", "dense")],
]


@pytest.mark.parametrize("chain", CHAINS)
def test_a_file_is_that_of_trit_pack(daemon, service, place, random, chain):
    source = small(place, random)
    for name, *how in chain:
        source, result = both(daemon, service, source, name, *how)
        assert len(result.reports) == (0 if how[0] == "dense" else 2)


@pytest.mark.parametrize("chain", [
    [("a.safetensors", "hf_bitnet"), ("b.safetensors", "pq2_0"), ("c.safetensors", "hf_bitnet"),
     ("d.safetensors", "dense", 0, "f16")],
    [("a.gguf", "i2_s"), ("b.gguf", "pq2_0"), ("c.gguf", "i2_s"), ("d.safetensors", "hf_bitnet"),
     ("e.gguf", "i2_s"), ("f.safetensors", "dense", 0, "f32")]])
def test_a_large_matrix_with_one_scale(daemon, service, place, random, chain):
    """Parts of it are in memory, in a file of either kind."""
    source = place / "dense.safetensors"
    save(source, {"l.weight": one_scale(random, 1200, 1024)})
    for name, *how in chain[:2 if SLOW else None]:
        source, _ = both(daemon, service, source, name, *how)


def test_a_matrix_of_many_tiles(daemon, service, place, random):
    """Its rows are unpacked in several calls, and end in a short group."""
    source = place / "dense.safetensors"
    save(source, {"l.weight": one_scale(random, 1600, 1001)})
    packed, result = both(daemon, service, source, "a.safetensors", "int8", 128)
    assert result.reports[0].report.groups == 1600 * 8
    both(daemon, service, packed, "b.safetensors", "dense", 0, "bf16")


def test_folders(daemon, service, place, random):
    """Config, tokenizer and index are those of trit; so is MLX's folder."""
    parts = {f"layers.{i}.fc.weight": scaled(random, 8, 512, 128) for i in range(3)}
    names = list(parts)
    save_folder(place / "model", [{name: parts[name] for name in names[:2]},
                                  {name: parts[name] for name in names[2:]}], {"model_type": "some"})
    (place / "model" / "tokenizer.json").write_text("{}")
    mlx, _ = both(daemon, service, place / "model", "mlx", "mlx_2bit", 128)
    assert "tokenizer.json" in contents(mlx)
    both(daemon, service, mlx, "dense", "dense")
    both(daemon, service, place / "model", "a.gguf", "pq2_0")


def test_a_model_for_llama_cpp(daemon, service, place, random):
    """Its names and rows are llama.cpp's, and transformers' again on the way back, unless asked
    otherwise."""
    folder = models.folder(place / "m", models.weights(random), models.config())
    assert cli(daemon, "project", folder, "-o", place / "t", "-e", "mlx_2bit").returncode == 0
    packed, _ = both(daemon, service, place / "t", "a.gguf", "pq2_0")
    back, _ = both(daemon, service, packed, "b.safetensors", "dense")
    kept, _ = both(daemon, service, packed, "c.safetensors", "dense", keep_names=True)
    assert "model.embed_tokens.weight" in load(back) and "token_embd.weight" in load(kept)


def test_data_that_does_not_fit_is_refused_as_by_trit(daemon, service, place, random):
    """The message names the layer and its first group; nothing is written."""
    weights = small(place, random).with_name("w.safetensors")
    values = {"l.weight": scaled(random, 8, 512, 128)}
    values["l.weight"][3, 300] = 7
    save(weights, values)
    lossy = place / "lossy.safetensors"
    save(lossy, {"l.weight": scaled(random, 4, 256, 128, np.full((4, 2), 1 / np.float32(3)))})
    before = sorted(file.name for file in place.iterdir())
    out = path_of(daemon, place / "out.safetensors")
    for source, encoding in ((weights, "pq2_0"), (weights, "hf_bitnet"), (lossy, "pq2_0")):
        done = cli(daemon, "pack", source, "-o", place / "out.safetensors", "-e", encoding)
        assert done.returncode == 1
        why = done.stderr.split("INVALID_ARGUMENT: ")[1].split(";")[0].strip()
        refused(lambda: service.run("Pack", path_of(daemon, source), output=out,
                                    encoding=ENCODINGS[encoding]),
                grpc.StatusCode.INVALID_ARGUMENT, "l.weight: " + why)
    assert sorted(file.name for file in place.iterdir()) == before
    result = service.run("Pack", path_of(daemon, lossy), output=out, encoding=2, allow_rounded_scales=True)
    assert int(result.json["scales_rounded"]) == 7  # one group is zero


def test_what_the_plan_refuses_and_a_dry_run(daemon, service, place, random):
    source = place / "in.safetensors"
    save(source, {"l.weight": one_scale(random, 4, 96)})
    out = place / "out.safetensors"
    for fields in ({"output": path_of(daemon, out)}, {"dry_run": True}):
        result = service.run("Pack", path_of(daemon, source), encoding=6, **fields)
        assert result.verdict == "fail" and result.json["tensors"][0]["reason"]
    same_as_cli(daemon, result, "pack", path_of(daemon, source), "-e", "tq2_0", "--dry-run", code=1)
    plan = service.run("Pack", path_of(daemon, source), encoding=1, group_size=32, dry_run=True)
    assert plan.verdict == "pass"
    same_as_cli(daemon, plan, "pack", path_of(daemon, source), "-e", "int8", "-g", "32", "--dry-run", code=0)
    assert [file.name for file in place.iterdir()] == ["in.safetensors"]


def test_requests_that_are_refused(daemon, service, place, random, tmp_path):
    """Outputs, inputs and options, by the field that is wrong; and links out of the root."""
    small(place, random)
    save(tmp_path / "outside.safetensors", {"l.weight": one_scale(random, 8, 512)})
    (place / "link.safetensors").symlink_to(tmp_path / "outside.safetensors")
    (place / "folder").symlink_to(tmp_path)
    base = path_of(daemon, place)
    good = {"output": f"{base}/out.safetensors", "encoding": 2}
    for path, fields, status, word in (
            ("dense.safetensors", {"output": ""}, "INVALID_ARGUMENT", "output: is missing"),
            ("dense.safetensors", {"output": f"{base}/dense.safetensors"}, "INVALID_ARGUMENT", "input itself"),
            ("dense.safetensors", {"output": f"{base}/folder/o.gguf"}, "INVALID_ARGUMENT", "link"),
            ("dense.safetensors", {"output": f"{base}/o.pt"}, "INVALID_ARGUMENT", "PyTorch"),
            ("dense.safetensors", {"encoding": 77}, "INVALID_ARGUMENT", "encoding: 77"),
            ("dense.safetensors", {"dtype": 4}, "INVALID_ARGUMENT", "dtype: 4"),
            ("dense.safetensors", {"options": {"exclude": ["nothing*"]}}, "INVALID_ARGUMENT", "nothing*"),
            ("link.safetensors", {}, "INVALID_ARGUMENT", "link"),
            ("folder/outside.safetensors", {}, "INVALID_ARGUMENT", "link"),
            ("none.safetensors", {}, "NOT_FOUND", "none.safetensors")):
        fields = {**good, **fields}
        refused(lambda: service.run("Pack", f"{base}/{path}", **fields), getattr(grpc.StatusCode, status), word)
        if path != "dense.safetensors":
            refused(lambda: service.run("Diff", f"{base}/dense.safetensors", against=f"{base}/{path}"),
                    getattr(grpc.StatusCode, status), word)
    refused(lambda: service.run("Diff", f"{base}/dense.safetensors"), grpc.StatusCode.INVALID_ARGUMENT,
            "against: is missing")
    (place / "exists.safetensors").write_bytes(b"")
    refused(lambda: service.run("Pack", f"{base}/dense.safetensors", **{**good, "output":
                                                                        f"{base}/exists.safetensors"}),
            grpc.StatusCode.ALREADY_EXISTS, "exists")
    assert (place / "exists.safetensors").read_bytes() == b"" and not (place / "out.safetensors").exists()


def test_a_layer_that_only_the_record_has(daemon, service, place, random):
    """A job refuses what lacks a layer of its record, as trit does, and names the field layers."""
    save(place / "in.safetensors", {name: random.standard_normal((4, 256)).astype(np.float32)
                                    for name in ("a.weight", "b.weight")})
    made = place / "made.safetensors"
    assert cli(daemon, "project", place / "in.safetensors", "-o", made, "-e", "pq2_0").returncode == 0
    tensors, metadata = load(made), header_of(made)["__metadata__"]
    del tensors["b.weight"]
    save(made, tensors, metadata)
    refused(lambda: service.run("Pack", path_of(daemon, made), output=path_of(daemon, place / "out.safetensors"),
                                encoding=ENCODINGS["q2_0"]),
            grpc.StatusCode.INVALID_ARGUMENT, "b.weight: the file's record names it")
    assert cli(daemon, "jobs", "pack", path_of(daemon, made), "-o", path_of(daemon, place / "out.safetensors"),
               "-e", "q2_0").returncode == 1
    assert not (place / "out.safetensors").exists()


def cancelled(service, method, path, **fields):
    """Whether the job was cancelled before it ended."""
    stream = service.stream(method, path, **fields)
    job = next(stream).job
    assert service.job(job).method == method
    service.cancel(job)
    try:
        gathered(stream)
        return False
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.CANCELLED
        return True


def test_a_cancelled_job_leaves_no_file(daemon, service, place):
    save_zeros(place / "zeros.safetensors", 1 << 14)
    path = path_of(daemon, place / "zeros.safetensors")
    gone = cancelled(service, "Pack", path, output=path + ".gguf", encoding=2)
    assert sorted(file.name for file in place.iterdir()) == [
        "zeros.safetensors", *([] if gone else ["zeros.safetensors.gguf"])]
    save_endless(place / "endless.safetensors")
    path = path_of(daemon, place / "endless.safetensors")
    assert cancelled(service, "Diff", path, against=path)


def test_a_difference_is_that_of_trit_diff(daemon, service, place, random):
    """Layers by codes and scales, experts, other tensors, and what one side lacks."""
    first, second = place / "a.safetensors", place / "b.safetensors"
    values = {"l.weight": scaled(random, 8, 512, 128), "big.weight": one_scale(random, 1300, 1024),
              "same.weight": one_scale(random, 8, 256), "norm.weight": np.ones(512, np.float32),
              "gone.weight": one_scale(random, 8, 256)}
    save(first, values)
    values["l.weight"] *= 2
    values["big.weight"][1299, 5] *= -1
    values["big.weight"][1298, 7] = .375
    values["norm.weight"] = values["norm.weight"] * 2
    values["new.weight"] = values.pop("gone.weight")
    save(second, values)
    a, b = path_of(daemon, first), path_of(daemon, second)
    result = service.run("Diff", a, against=b)
    assert result.verdict == "fail" and len(result.json["layers"]) == 3
    same_as_cli(daemon, result, "diff", a, b, code=1)
    for patterns in ({"exclude": ["big.*"]}, {"include": ["big.*", "same.*"]}):
        some = service.run("Diff", a, against=b, options=patterns)
        assert ({one["layer"] for one in some.json["layers"]} ==
                ({"l.weight", "same.weight"} if "exclude" in patterns else {"big.weight", "same.weight"}))
        word, names = next(iter(patterns.items()))
        same_as_cli(daemon, some, "diff", a, b, *(text for name in names for text in ("--" + word, name)), code=1)
    equal = service.run("Diff", a, against=a)
    assert equal.verdict == "pass" and schemas.read(json.dumps(equal.json))["equal"]
    same_as_cli(daemon, equal, "diff", a, a, code=0)
    same_as_cli(daemon, service.run("Diff", a, {"rename": ["gone.weight=new.weight"]}, against=b),
                "diff", a, b, "--rename", "gone.weight=new.weight", code=1)
    refused(lambda: service.run("Diff", a, {"rename": ["nothing.weight=new.weight"]}, against=b),
            grpc.StatusCode.INVALID_ARGUMENT, "nothing.weight=new.weight")
    packed, _ = both(daemon, service, first, "c.gguf", "pq2_0")
    result = service.run("Diff", a, against=path_of(daemon, packed))
    assert all(layer["equal"] for layer in result.json["layers"])
    same_as_cli(daemon, result, "diff", a, path_of(daemon, packed), code=0)
