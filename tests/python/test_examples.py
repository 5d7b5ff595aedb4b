# SPDX-License-Identifier: Apache-2.0
"""Every example of client/python/examples runs as it stands."""

import html.parser
import importlib.util
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import trit
from daemon import ROOT

EXAMPLES = ROOT / "client/python/examples"
NEEDS = {
    "train_torch.py": "torch",
    "train_mlx.py": "mlx",
    "notebook_report.py": "matplotlib",
    "verify_folder.py": "safetensors",
}


def test_every_example_has_a_test():
    assert sorted(NEEDS) == sorted(path.name for path in EXAMPLES.iterdir())


@pytest.fixture
def example(daemon, tmp_path):
    """Runs an example; gives its exit code and what it printed."""

    def run(name, *words):
        if importlib.util.find_spec(NEEDS[name]) is None:
            pytest.skip(f"{NEEDS[name]} is missing")
        copy = shutil.copy(EXAMPLES / name, tmp_path)  # away from the tree's own package
        env = dict(os.environ, TRITD_ADDRESS=daemon.rpc, MPLBACKEND="Agg", OMP_NUM_THREADS="1")
        done = subprocess.run(
            [sys.executable, copy, *map(str, words)],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout, done.stderr

    return run


# Training learns, verifies each 20th step, and its reports are stored.
@pytest.mark.parametrize("framework", ["torch", "mlx"])
def test_training(example, client, framework):
    code, printed, errors = example(f"train_{framework}.py")
    assert code == 0, errors
    assert "Conversion: 2 converted, 1 skipped" in printed
    steps = re.findall(r"^step (\d+): loss ([\d.]+), (\d+) weights", printed, re.M)
    assert [int(step) for step, _, _ in steps] == [20, 40, 60, 80, 100]
    assert float(steps[-1][1]) < float(steps[0][1]) and int(steps[-1][2]) > 0
    assert float(re.search(r"^accuracy ([\d.]+)", printed, re.M).group(1)) > 0.8
    stored = client.reports.list(f"train-{framework}")
    assert len(stored) == 10 and all(report.is_ternary for report in stored)


# The gate's exit code is the verdict of the folder.
def test_verifying_a_folder(example, client, tmp_path):
    latents, folder = tmp_path / "latents", tmp_path / "folder"
    latents.mkdir()
    folder.mkdir()
    assert example("verify_folder.py", folder)[0] == 4
    from safetensors.numpy import save_file

    weights = np.random.default_rng(1).standard_normal((64, 128)).astype(np.float32)
    for name in ("a.safetensors", "b.safetensors"):
        save_file({"body.weight": weights, "norm.weight": weights[0].copy()}, latents / name)
        client.checkpoint.project(latents / name, folder / name)
    assert example("verify_folder.py", folder)[0] == 0
    code, printed, _ = example("verify_folder.py", folder, latents)
    assert code == 0 and "a.safetensors: pass" in printed and "b.safetensors: pass" in printed
    save_file({"body.weight": weights}, folder / "b.safetensors")
    code, printed, _ = example("verify_folder.py", folder, latents)
    assert code == 1 and "a.safetensors: pass" in printed and "b.safetensors: fail" in printed
    code, _, errors = example("verify_folder.py")
    assert code == 1 and "python verify_folder.py FOLDER" in errors


def test_the_notebook_makes_its_plots(example, tmp_path):
    code, printed, errors = example("notebook_report.py")
    assert code == 0, errors
    assert "4 layers" in printed
    for name in ("layer.png", "model.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


# ---- reports in notebooks -----------------------------------------------------------------


class Cells(html.parser.HTMLParser):
    """The text of the cells of a table, row by row."""

    def __init__(self, page):
        super().__init__()
        self.rows = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, text):
        self.rows[-1][-1] += text


# A report shows itself as a table: verdict, findings, and each field that says something.
def test_a_report_is_a_table(client, run):
    weights = np.random.default_rng(2).standard_normal((8, 256)).astype(np.float32)
    layer = "<fc> & co"
    good = client.project(weights, layer=(run, layer, 3)).report
    rows = Cells(good._repr_html_()).rows
    assert rows[0] == [f"{layer} [8, 256]: pass", ""]
    assert ["scale_mean", f"{good.scale_mean:.6g}"] in rows and ["step", "3"] in rows
    assert ["zero_fraction", f"{good.zero_fraction:.6g}"] in rows
    assert not any(name == "previous_step" for name, _ in rows)
    bad = client.verify(weights)
    rows = Cells(bad._repr_html_()).rows
    assert rows[0][0] == "weights [8, 256]: fail"
    assert rows[1] == ["error: not_ternary", bad.findings[0].hint]


# Plots have the shares, and the scales as a histogram of all groups.
def test_plots_show_shares_and_scales(client):
    pytest.importorskip("matplotlib").use("Agg")
    weights = np.random.default_rng(3).standard_normal((8, 256)).astype(np.float32)
    projection = client.project(weights, encoding="int8")
    report = projection.report
    shares, scales = report.plot(projection.scales)
    heights = [bar.get_height() for bar in shares.patches]
    assert heights == [
        one / 2048 for one in (report.negatives, report.zeros, report.positives)
    ] and sum(heights) == pytest.approx(1)
    assert sum(bar.get_height() for bar in scales.patches) == report.groups == 16
    assert not report.plot()[1].patches and len(report.plot()[1].lines) == 3
    state = {f"{i}.weight": weights * (i + 1) for i in range(3)}
    shares, scales = client.checkpoint.project(state).plot()
    assert [label.get_text() for label in shares.get_yticklabels()] == list(state)
    assert sum(bar.get_width() for bar in shares.patches) == pytest.approx(3)
    assert sum(bar.get_height() for bar in scales.patches) == 48
    verified = client.checkpoint.verify(state, mode="latent")
    assert len(verified.plot()[0].patches) == 9


def test_without_matplotlib_plot_says_what_to_install(client, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    report = client.project(np.ones((1, 128), np.float32)).report
    with pytest.raises(ImportError, match="pip install matplotlib"):
        report.plot()
    with pytest.raises(ImportError, match="pip install matplotlib"):
        trit.ProjectResult({}, None).plot()
