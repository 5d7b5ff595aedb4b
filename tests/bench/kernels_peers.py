"""The kernels beside what people use today: one tensor of 64 MiB, one process set-up.

    kernels_peers.py OUT KERNELS_PEER     appends JSON lines {measure, figure, unit, goal, holds, against}

KERNELS_PEER is kernels_peer, which projects a file's f32 on one pinned thread and prints
seconds. Peers are imported where they can be had: NumPy, mlx and gguf from this
Python's environment (pip install numpy 'mlx[cpu]' gguf), torch from here or from Debian's
python3 (python3-torch). What cannot be had is said, not skipped in silence.
"""
import json
import subprocess
import sys
import tempfile
import time

ROUNDS = 9
GROUP = 128
ELEMENTS = 16 << 20

TORCH = """
import sys, time
import torch
torch.set_num_threads(2)
w = torch.frombuffer(bytearray(open(sys.argv[1], "rb").read()), dtype=torch.float32)
def project():
    g = w.reshape(-1, 128)
    s = g.abs().mean(dim=1, keepdim=True)
    s = torch.where(s == 0, torch.ones_like(s), s)
    return torch.clamp(torch.round(g / s), -1, 1) * s
times = []
for _ in range(%d):
    begin = time.perf_counter()
    project()
    times.append(time.perf_counter() - begin)
print(sorted(times)[len(times) // 2])
""" % ROUNDS


def median(run):
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return sorted(times)[ROUNDS // 2]


def numpy_seconds(w):
    import numpy as np

    def project():
        g = w.reshape(-1, GROUP)
        s = np.abs(g).mean(axis=1, keepdims=True)
        s = np.where(s == 0, np.float32(1), s)
        return np.clip(np.rint(g / s), -1, 1) * s
    return median(project)


def mlx_seconds(w):
    import mlx.core as mx
    mx.set_default_device(mx.cpu)
    x = mx.array(w)

    def project():
        g = x.reshape(-1, GROUP)
        s = mx.mean(mx.abs(g), axis=-1, keepdims=True)
        s = mx.where(s == 0, mx.ones_like(s), s)
        mx.eval(mx.clip(mx.round(g / s), -1, 1) * s)
    return median(project)


def gguf_seconds(w):
    from gguf import GGMLQuantizationType
    from gguf.quants import quantize
    rows = w.reshape(-1, 4096)
    begin = time.perf_counter()
    quantize(rows, GGMLQuantizationType.TQ2_0)
    return time.perf_counter() - begin


def torch_seconds(path):
    for python in (sys.executable, "/usr/bin/python3"):
        done = subprocess.run([python, "-c", TORCH, path], capture_output=True, text=True)
        if done.returncode == 0:
            return float(done.stdout)
    raise ImportError("no torch here and no python3-torch")


def ours_seconds(program, path, encoding):
    done = subprocess.run([program, path, encoding], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main():
    out, program = sys.argv[1], sys.argv[2]
    import numpy as np
    w = (np.random.default_rng(1).standard_normal(ELEMENTS) * 0.02).astype(np.float32)
    with tempfile.NamedTemporaryFile() as file, open(out, "a") as lines:
        w.tofile(file)
        file.flush()
        dense = ours_seconds(program, file.name, "dense")
        packed = ours_seconds(program, file.name, "tq2_0")
        peers = [("NumPy", numpy_seconds, w, dense, 15), ("PyTorch, 2 threads", torch_seconds,
                  file.name, dense, 10), ("MLX", mlx_seconds, w, dense, 10),
                 ("gguf-py TQ2_0", gguf_seconds, w, packed, 100)]
        for name, run, argument, ours, goal in peers:
            entry = dict(measure=f"64 MiB f32, one thread, against {name}", figure=None,
                         unit="times as fast", goal=f">= {goal}", holds=None, against=name)
            try:
                seconds = run(argument)
                entry["figure"] = round(seconds / ours, 1)
                entry["holds"] = seconds / ours >= goal
                entry["against"] = f"{name} {seconds * 1000:.0f} ms, ours {ours * 1000:.2f} ms"
            except ImportError as error:
                entry["against"] = f"{name}: not to be had here ({error})"
            lines.write(json.dumps(entry) + "\n")


main()
