"""One of what people use today, as kernels_peers.py sets it beside ours.

    peer.py NAME FILE     NAME: numpy, torch, mlx, gguf

Reads the f32 of FILE, projects them once, says "ready"; then for each line on standard
input projects once more and prints the seconds. Where the library takes memory for its
results, every round uses the same, touched before the first: NumPy and PyTorch do, MLX
keeps a cache of its own, gguf-py allocates. Leaves with 3 where the library is missing.
"""
import sys
import time

GROUP = 128
TQ2_ROW = 4096


def numpy(path):
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


def torch(path):
    import torch
    torch.set_num_threads(2)
    w = torch.frombuffer(bytearray(open(path, "rb").read()), dtype=torch.float32).view(-1, GROUP)
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


def main():
    try:
        project = {"numpy": numpy, "torch": torch, "mlx": mlx, "gguf": gguf}[sys.argv[1]](sys.argv[2])
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
