# SPDX-License-Identifier: Apache-2.0
"""One library's side of kernels_peers.py.

    peer.py NAME FILE     NAME: numpy, torch, numpy_steps, torch_steps, mlx, gguf, gguf_bf16

Reads the f32 of FILE, projects them once, says "ready"; then for each line on standard
input projects once more and prints the seconds. Where the library takes memory for the
result, every round uses the same, touched before the first: NumPy and PyTorch do. Of
these two there is a second form whose every step goes to memory that is there already,
which takes more care than people take. MLX keeps a cache of its own, gguf-py allocates.
Leaves with 3 where the library is missing.
"""
import sys
import time

GROUP = 128
TQ2_ROW = 4096


def numpy(path):
    import numpy as np
    w = np.fromfile(path, np.float32).reshape(-1, GROUP)
    out = np.zeros_like(w)

    def project():
        s = np.abs(w).mean(axis=1, keepdims=True)
        s = np.where(s == 0, np.float32(1), s)
        np.multiply(np.clip(np.rint(w / s), -1, 1), s, out=out)
    return project


def numpy_steps(path):
    import numpy as np
    w = np.fromfile(path, np.float32).reshape(-1, GROUP)
    out, s = np.empty_like(w), np.empty((len(w), 1), np.float32)

    def project():
        np.abs(w, out=out)
        np.mean(out, axis=1, keepdims=True, out=s)
        s[s == 0] = 1
        np.divide(w, s, out=out)
        np.rint(out, out=out)
        np.clip(out, -1, 1, out=out)
        np.multiply(out, s, out=out)
    return project


def read_torch(torch, path):
    torch.set_num_threads(2)
    with open(path, "rb") as file:
        return torch.frombuffer(bytearray(file.read()), dtype=torch.float32).view(-1, GROUP)


def torch(path):
    import torch
    w = read_torch(torch, path)
    out = torch.zeros_like(w)

    def project():
        s = w.abs().mean(dim=1, keepdim=True)
        s = torch.where(s == 0, torch.ones_like(s), s)
        torch.mul(torch.clamp(torch.round(w / s), -1, 1), s, out=out)
    return project


def torch_steps(path):
    import torch
    w = read_torch(torch, path)
    out, s = torch.zeros_like(w), torch.zeros(len(w), 1)

    def project():
        torch.abs(w, out=out)
        torch.mean(out, dim=1, keepdim=True, out=s)
        s.masked_fill_(s == 0, 1)
        torch.div(w, s, out=out)
        out.round_().clamp_(-1, 1).mul_(s)
    return project


def mlx(path):
    import mlx.core as mx
    import numpy as np
    mx.set_default_device(mx.cpu)
    w = mx.array(np.fromfile(path, np.float32)).reshape(-1, GROUP)

    def project():
        s = mx.mean(mx.abs(w), axis=-1, keepdims=True)
        s = mx.where(s == 0, mx.ones_like(s), s)
        mx.eval(mx.clip(mx.round(w / s), -1, 1) * s)
    return project


def gguf(path):
    import numpy as np
    from gguf import GGMLQuantizationType
    from gguf.quants import quantize
    rows = np.fromfile(path, np.float32).reshape(-1, TQ2_ROW)
    return lambda: quantize(rows, GGMLQuantizationType.TQ2_0)


def gguf_bf16(path):
    """The same values as bf16, as checkpoints have them, which gguf-py needs as f32."""
    import numpy as np
    from gguf import GGMLQuantizationType
    from gguf.quants import quantize
    halves = (np.fromfile(path, np.uint32) >> 16).astype(np.uint16).reshape(-1, TQ2_ROW)
    wide = np.empty(halves.shape, np.uint32)

    def project():
        np.left_shift(halves, 16, out=wide, dtype=np.uint32)
        quantize(wide.view(np.float32), GGMLQuantizationType.TQ2_0)
    return project


PEERS = {one.__name__: one for one in (numpy, numpy_steps, torch, torch_steps, mlx, gguf, gguf_bf16)}


def main():
    try:
        project = PEERS[sys.argv[1]](sys.argv[2])
    except ImportError as error:
        print(error, file=sys.stderr)
        return 3
    project()
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        project()
        print(time.perf_counter() - began, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
