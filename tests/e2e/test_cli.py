# SPDX-License-Identifier: Apache-2.0
"""The command line against the daemon: the commands of `make run`, and the exit codes."""
import json
import subprocess

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import reference as ref
import schemas
from tritd import BINARIES, DATA, ROOT, RUNNER, SLOW, cli

SAMPLE = DATA / "silero_vad_16k.safetensors"
SELECT = ["--convolutions", "--exclude", "stft_conv.weight"]
LAYERS = {name: values for name, values in load_file(SAMPLE).items()
          if values.ndim in (2, 3) and name != "stft_conv.weight"}


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.safetensors"


def matrix(values):
    return values.reshape(values.shape[0], -1)


def raw_tensors(path):
    """The exact bytes of each tensor and the header's entries, by name."""
    blob = path.read_bytes()
    end = 8 + int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8:end])
    header.pop("__metadata__", None)
    return {name: (entry["dtype"], entry["shape"],
                   blob[end + entry["data_offsets"][0]:end + entry["data_offsets"][1]])
            for name, entry in header.items()}


def test_project_writes_the_projection_and_passes_the_rest_through(daemon, out, run):
    done = cli(daemon, "project", SAMPLE, "-o", out, *SELECT, "--run", run, "--step", 0)
    assert done.returncode == 0, done.stderr
    for name in LAYERS:
        assert name in done.stdout
    before, after = raw_tensors(SAMPLE), raw_tensors(out)
    assert before.keys() == after.keys()
    for name, (dtype, shape, data) in after.items():
        assert (dtype, shape) == before[name][:2]
        if name in LAYERS:
            m = matrix(LAYERS[name])
            assert data == ref.dense(m, *ref.project(m)), name
        else:
            assert data == before[name][2], name
    assert {r.layer for r in reports_of(daemon, run)} == set(LAYERS)
    # stdout is not a terminal: no progress bar, no carriage returns.
    assert "\r" not in done.stdout + done.stderr


def reports_of(daemon, run):
    from tritd import report_pb2
    return daemon.reports.List(report_pb2.ReportsListRequest(run=run), timeout=30).reports


def test_project_writes_codes_and_scales_on_request(daemon, out):
    done = cli(daemon, "project", SAMPLE, "-o", out, *SELECT, "--encoding", "int8")
    assert done.returncode == 0, done.stderr
    after = load_file(out)
    for name, values in LAYERS.items():
        codes, scales = ref.project(matrix(values))
        found = [v for k, v in after.items() if k.startswith(name) and v.dtype == np.int8]
        assert len(found) == 1 and (found[0].reshape(codes.shape) == codes).all(), name
        found = [v for k, v in after.items() if k.startswith(name) and v.dtype == np.float32
                 and v.size == scales.size]
        assert any((v.ravel() == scales.ravel()).all() for v in found), name


# transformers stores a linear layer as U8 [rows / 4, columns] and weight_scale [1].
def test_hf_bitnet_is_written_and_verified(daemon, out, tmp_path, random):
    weights = {f"model.{name}.weight": random.standard_normal(shape).astype(np.float32)
               for name, shape in {"q": (8, 129), "k": (12, 64), "head": (6, 64)}.items()}
    latents = tmp_path / "latents.safetensors"
    save_file({**weights, "model.norm.weight": np.ones(64, np.float32)}, latents, {"format": "pt"})
    done = cli(daemon, "project", latents, "-o", out, "--encoding", "hf_bitnet")
    assert done.returncode == 1 and "model.head.weight" in done.stderr and "6" in done.stderr
    assert not out.exists()
    select = ["--exclude", "model.head.*"]
    done = cli(daemon, "project", latents, "-o", out, "--encoding", "hf_bitnet", *select)
    assert done.returncode == 0, done.stderr
    tensors = load_file(out)
    assert set(tensors) == {*weights, "model.norm.weight", "model.q.weight_scale",
                            "model.k.weight_scale"}
    for name in ("model.q.weight", "model.k.weight"):
        rows, columns = weights[name].shape
        codes, scale = ref.project(weights[name].reshape(1, -1), rows * columns)
        assert tensors[name].dtype == np.uint8 and tensors[name].shape == (rows // 4, columns)
        found = np.vstack([tensors[name] >> 2 * i & 3 for i in range(4)]).astype(np.int8) - 1
        assert (found == codes.reshape(rows, columns)).all(), name
        assert tensors[f"{name}_scale"].shape == (1,) and tensors[f"{name}_scale"] == scale[0]
    for words in (select, ["--against", latents], ["--accept-record"]):
        done = cli(daemon, "verify", out, *words)
        assert done.returncode == 0, done.stdout + done.stderr
    done = cli(daemon, "verify", out)
    assert done.returncode == 4 and "kept_by_record" in done.stdout, done.stdout
    # Other programs write no record, and scales in the model's type.
    bare = {name: values.astype(np.float16) if "scale" in name else values
            for name, values in tensors.items() if "head" not in name}
    save_file(bare, out)
    assert cli(daemon, "verify", out, "--encoding", "hf_bitnet").returncode == 0
    done = cli(daemon, "verify", out, "--encoding", "hf_bitnet", "--group-size", 128)
    assert done.returncode == 2 and "one scale" in done.stderr
    bare["model.k.weight"][2, 5] |= 0x30
    save_file(bare, out)
    done = cli(daemon, "verify", out, "--encoding", "hf_bitnet")
    assert done.returncode == 1 and "model.k.weight" in done.stdout
    del bare["model.k.weight_scale"]
    save_file(bare, out)
    done = cli(daemon, "verify", out, "--encoding", "hf_bitnet")
    assert done.returncode == 1 and "missing_tensor" in done.stdout
    assert "model.k.weight_scale" in done.stdout


def test_verify_tells_ternary_from_latent(daemon, out):
    assert cli(daemon, "project", SAMPLE, "-o", out, *SELECT).returncode == 0
    good = cli(daemon, "verify", out, "--against", SAMPLE, *SELECT)
    assert good.returncode == 0, good.stdout + good.stderr
    assert cli(daemon, "verify", SAMPLE, *SELECT).returncode == 1
    # One flipped weight is found.
    tensors = load_file(out)
    name = "lstm_cell.weight_hh"
    flat = tensors[name].reshape(-1)
    flat[np.flatnonzero(flat)[5]] *= -1
    save_file(tensors, out)
    wrong = cli(daemon, "verify", out, "--against", SAMPLE, *SELECT)
    assert wrong.returncode == 1 and name in wrong.stdout


def test_json_uses_the_reports_names(daemon, out):
    done = cli(daemon, "project", SAMPLE, "-o", out, *SELECT, "--json")
    assert done.returncode == 0, done.stderr
    text = done.stdout.strip()
    try:
        whole = schemas.read(text)
        reports = whole if isinstance(whole, list) else whole.get("layers", whole.get("reports"))
    except json.JSONDecodeError:
        reports = [json.loads(line) for line in text.splitlines()]
    by_name = {report["layer"]: report for report in reports}
    assert set(by_name) == set(LAYERS)
    codes, _ = ref.project(matrix(LAYERS["conv1.weight"]))
    report = by_name["conv1.weight"]
    assert report["shape"] == [128, 387] and report["zeros"] == (codes == 0).sum()
    assert report["zero_fraction"] == pytest.approx((codes == 0).mean())


def test_include_and_exclude_choose_layers(daemon, out):
    done = cli(daemon, "project", SAMPLE, "-o", out, "--include", "lstm_cell.weight_*",
               "--exclude", "*_hh")
    assert done.returncode == 0, done.stderr
    before, after = raw_tensors(SAMPLE), raw_tensors(out)
    assert {n for n in before if before[n] != after[n]} == {"lstm_cell.weight_ih"}


def test_group_size_is_passed_on(daemon, out):
    done = cli(daemon, "project", SAMPLE, "-o", out, "--include", "lstm_cell.weight_hh",
               "--group-size", 64)
    assert done.returncode == 0, done.stderr
    m = LAYERS["lstm_cell.weight_hh"]
    assert raw_tensors(out)["lstm_cell.weight_hh"][2] == ref.dense(
        m, *ref.project(m, 64), group_size=64)


def test_npy_is_read_too(daemon, tmp_path, out, random):
    values = random.standard_normal((6, 256)).astype(np.float32)
    np.save(tmp_path / "w.npy", values)
    done = cli(daemon, "project", tmp_path / "w.npy", "-o", out)
    assert done.returncode == 0, done.stderr
    (written,) = load_file(out).values()
    assert written.tobytes() == ref.dense(values, *ref.project(values))


def test_inspect_lists_tensors_without_a_daemon():
    done = cli(None, "inspect", SAMPLE)
    assert done.returncode == 0, done.stderr
    for name in load_file(SAMPLE):
        assert name in done.stdout


def test_reports_lists_stored_reports(daemon, out, run):
    assert cli(daemon, "project", SAMPLE, "-o", out, *SELECT, "--run", run, "--step", 5).returncode == 0
    done = cli(daemon, "reports", "--run", run)
    assert done.returncode == 0, done.stderr
    for name in LAYERS:
        assert name in done.stdout


def test_ping(daemon):
    """ping succeeds with the address from the environment or from --server."""
    assert cli(daemon, "ping").returncode == 0
    assert cli(None, "ping", "--server", daemon.rpc).returncode == 0


def test_usage_is_2(daemon):
    """Wrong usage exits 2 and says why on standard error."""
    for words in ([], ["no-such-command"], ["project"], ["project", SAMPLE],
                  ["project", SAMPLE, "-o", "x", "--encoding", "nonsense"],
                  ["project", SAMPLE, "-o", "x", "--group-size", "many"], ["ping", "--nonsense"]):
        done = cli(daemon, *words)
        assert done.returncode == 2, words
        assert done.stderr, words


def test_an_unknown_command_of_a_group_is_named(daemon):
    for group in ("jobs", "layers"):
        done = cli(daemon, group, "nonsense")
        assert done.returncode == 2
        assert f"trit: {group}: unknown command 'nonsense' (try trit {group} --help)" in done.stderr


def test_help_is_0():
    """--help and --version exit 0 and need no daemon."""
    for words in (["--help"], ["project", "--help"], ["verify", "--help"], ["reports", "--help"],
                  ["inspect", "--help"], ["ping", "--help"], ["--version"]):
        done = cli(None, *words)
        assert done.returncode == 0 and done.stdout, words


def test_a_failed_call_is_3(daemon, out, tmp_path):
    nobody = {"TRITD_ADDRESS": "127.0.0.1:1"}
    assert cli(None, "ping", env=nobody).returncode == 3
    done = cli(None, "project", SAMPLE, "-o", out, env=nobody)
    assert done.returncode == 3 and "UNAVAILABLE" in done.stderr
    assert not out.exists()
    values = np.ones((2, 128), np.float32)
    values[1, 3] = np.nan
    save_file({"sick": values}, tmp_path / "nan.safetensors")
    done = cli(daemon, "project", tmp_path / "nan.safetensors", "-o", out)
    assert done.returncode == 3 and "sick" in done.stderr and "131" in done.stderr
    assert not out.exists()


# getaddrinfo would read 65536 as port 0, and 72097 as port 6561.
@pytest.mark.parametrize("port", ["0", "65536", "72097", "-1", "+80", "x"])
def test_an_invalid_port_is_refused(port):
    told = f'port "{port}" is not a number from 1 to 65535'
    done = cli(None, "ping", "--server", f"127.0.0.1:{port}")
    assert done.returncode == 2 and told in done.stderr
    done = cli(None, "ping", env={"TRITD_ADDRESS": f"[::1]:{port}"})
    assert done.returncode == 2 and told in done.stderr


@pytest.mark.parametrize("words", [
    ["ping"], ["project", SAMPLE, "-o", "OUT", "--convolutions"],
    ["verify", SAMPLE, "--convolutions"], ["attest", SAMPLE, "-o", "OUT", "--convolutions"],
    ["jobs"], ["jobs", "verify", "a"], ["jobs", "attach", "a"], ["jobs", "cancel", "a"],
    ["reports"], ["reports", "show", "r", "l"], ["reports", "watch"],
    ["reports", "compare", "r/l@1", "r/l@2"], ["reports", "rewind", "r", "--step", "1"],
    ["reports", "fork", "r", "--step", "1", "s"], ["reports", "delete", "r", "--yes"],
    ["layers", "list"], ["layers", "get", "fc"], ["layers", "load", "lstm_cell.weight_ih", SAMPLE],
    ["layers", "create", "fc", "--in-features", "128", "--out-features", "2"]])
def test_an_invalid_address_is_usage(out, words):
    """Each command exits 2 for an address that cannot be one, of --server or TRITD_ADDRESS."""
    words = [out if word == "OUT" else word for word in words]
    for wrong, told in (("http://h:1", "is not host:port or unix:/path"),
                        ("h:", 'port "" is not'), ("[::1", "is not host:port or unix:/path")):
        done = cli(None, *words, "--server", wrong)
        assert done.returncode == 2 and told in done.stderr, done.stderr
        assert cli(None, *words, env={"TRITD_ADDRESS": wrong}).returncode == 2
    assert not out.exists()


@pytest.mark.parametrize("words", [["reports"], ["reports", "list", "r"],
                                   ["reports", "delete", "r", "--yes"]])
def test_a_range_that_ends_before_it_begins_is_usage(words):
    done = cli(None, *words, "--from", "5", "--to", "3")
    assert done.returncode == 2 and "--from 5 is above --to 3" in done.stderr, done.stderr


def test_a_broken_or_missing_file_is_named(daemon, tmp_path, out):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(SAMPLE.read_bytes()[:5000])
    for path in (broken, tmp_path / "missing.safetensors"):
        done = cli(daemon, "project", path, "-o", out)
        assert done.returncode not in (0, 1) and path.name in done.stderr


def test_the_daemon_listens_on_a_unix_socket(start, tmp_path):
    own = start("--listen", f"unix:{tmp_path}/s")
    assert f"unix:{tmp_path}/s" in own.ready_line
    assert cli(None, "ping", "--server", f"unix:{tmp_path}/s").returncode == 0


@pytest.mark.skipif(SLOW, reason="the demo runs binaries as they are")
def test_make_run_does_the_main_job(tmp_path):
    done = subprocess.run(["bash", "tests/tools/demo.sh", BINARIES, tmp_path / "run"], cwd=ROOT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    for word in (*LAYERS, "curl", "exited with 0"):
        assert word in done.stdout
    assert not RUNNER
