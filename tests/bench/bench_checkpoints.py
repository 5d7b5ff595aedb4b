# SPDX-License-Identifier: Apache-2.0
"""Whole checkpoints through `trit`: a Qwen3-shaped folder of bf16 shards in page cache,
against `cat` of the same files.

Rounds of cat, project and verify follow one another; a figure is the median of its ratio
to the cat of the same round, so that a machine that slows down slows both. Before each
command free memory is touched: a virtual machine may have given it back to its host, and
the first write to a page then costs ten times as much as the command.

bench_path measures what each step of the way costs by itself. Their sum bounds the rate on
two cores; trit and tritd do more, such as HTTP/2, digests and reports.
"""
import json
import mmap
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

PEAK = pathlib.Path(__file__).resolve().parents[1] / "lib" / "peak.py"
LAYERS, HIDDEN, INNER, HEADS, VOCABULARY = 28, 1024, 3072, 2048, 151936
SHARD_BYTES = 320 << 20
ROUNDS = 3
ONE_LAYERS = 16
PEAK_MIB_MAX = 256
CORES = 2
FREE_BYTES = 3 << 30  # touched before a command; more than one of them needs


def shapes():
    """Names and shapes of a Qwen3 of 0.6 billion parameters, in the order of its files."""
    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN)
    for layer in range(LAYERS):
        stem = f"model.layers.{layer}"
        yield f"{stem}.input_layernorm.weight", (HIDDEN,)
        for name, shape in (("q_proj", (HEADS, HIDDEN)), ("k_proj", (1024, HIDDEN)),
                            ("v_proj", (1024, HIDDEN)), ("o_proj", (HIDDEN, HEADS))):
            yield f"{stem}.self_attn.{name}.weight", shape
        for name, shape in (("gate_proj", (INNER, HIDDEN)), ("up_proj", (INNER, HIDDEN)),
                            ("down_proj", (HIDDEN, INNER))):
            yield f"{stem}.mlp.{name}.weight", shape
    yield "model.norm.weight", (HIDDEN,)


def write_shard(path, tensors, noise):
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors:
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with open(path, "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for name, shape in tensors:
            left = 2 * int(np.prod(shape))
            while left:
                left -= out.write(noise[:min(left, len(noise))])


def make(folder):
    """The checkpoint; returns its bytes."""
    random = np.random.default_rng(1)
    values = (random.standard_normal(16 << 20) * .02).astype(np.float32)
    noise = memoryview((values.view(np.uint32) >> 16).astype(np.uint16).tobytes())
    shards, size = [[]], 0
    for name, shape in shapes():
        if size > SHARD_BYTES:
            shards.append([])
            size = 0
        shards[-1].append((name, shape))
        size += 2 * int(np.prod(shape))
    index = {}
    for number, tensors in enumerate(shards, 1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        write_shard(folder / name, tensors, noise)
        index.update({tensor: name for tensor, _ in tensors})
    (folder / "model.safetensors.index.json").write_text(json.dumps(
        {"metadata": {}, "weight_map": index}))
    (folder / "config.json").write_text('{"model_type": "qwen3", "tie_word_embeddings": true}')
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def cpu_seconds(daemon):
    """Of the daemon, and of all commands that have ended."""
    stat = pathlib.Path(f"/proc/{daemon.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK") \
        + ended.ru_utime + ended.ru_stime


def timed(words, **more):
    """Seconds and peak MiB of a command that must succeed."""
    with tempfile.NamedTemporaryFile("r") as peak:
        begun = time.monotonic()
        done = subprocess.run([sys.executable, str(PEAK), peak.name, *words],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)
        seconds = time.monotonic() - begun
        if done.returncode:
            raise RuntimeError(f"{words}: {done.stderr.decode()}")
        return seconds, int(peak.read()) / 1024


def touch_free_memory():
    with mmap.mmap(-1, FREE_BYTES) as memory:
        for at in range(0, FREE_BYTES, 1 << 20):
            memory[at:at + (1 << 20)] = bytes(1 << 20)


def bounds(folder, files, program):
    """GB/s of input that two cores can reach for project to int8 and for verify of it, by the
    cost of each step in shared memory, and that cost in CPU seconds per GB of input."""
    done = subprocess.run([str(program), str(folder / "written"), *files], check=True,
                          stdout=subprocess.PIPE, text=True)
    cost = json.loads(done.stdout)
    sent = cost["read"] + cost["tile"]  # nothing moves through a socket
    hashed = 1 / 4 + 1 / 32  # of the bytes of int8: 2 bits a weight, 4 bytes a group of 128
    seconds = {"project to int8": sent + cost["project"] + cost["digest"] * hashed / 2
               + (cost["write"] + cost["tile"]) / 2,
               "verify of int8": sent + cost["verify"] + cost["digest"] * hashed}
    reach = {name: (CORES / second, second) for name, second in seconds.items()}
    rate, second = reach["project to int8"]
    reach["project to int8"] = min(rate, 2 / cost["disk"]), second  # half as many are written
    return reach, cost


def one_file(trit, address, folder, entry):
    """Entries for a file of 1 GiB: project, against cp of it, and cp that waits for the disk as
    project does."""
    path, rows = folder / "one.safetensors", 4096
    noise = memoryview((np.random.default_rng(2).standard_normal(4 << 20) * .02)
                       .astype(np.float32).tobytes())
    size = 4 * rows * rows
    header = json.dumps({f"layers.{i}.weight": {
        "dtype": "F32", "shape": (rows, rows), "data_offsets": (i * size, (i + 1) * size)}
        for i in range(ONE_LAYERS)}).encode()
    with open(path, "wb") as out:
        out.write(len(header).to_bytes(8, "little") + header)
        for _ in range(ONE_LAYERS * size // len(noise)):
            out.write(noise)
    copy, ratios = folder / "copy.safetensors", {}
    copies = {"cp": f"cp {path} {copy}", "cp and sync": f"cp {path} {copy} && sync {copy}"}
    commands = {name: ["sh", "-c", line] for name, line in copies.items()}
    commands |= {encoding: [str(trit), "project", str(path), "-o", str(copy), "-e", encoding]
                 for encoding in ("pq2_0", "dense")}
    for _ in range(ROUNDS):
        took = {}
        for name, words in commands.items():
            copy.unlink(missing_ok=True)
            touch_free_memory()
            took[name], _ = timed(words, env=dict(os.environ, TRITD_ADDRESS=address))
        for name in ("pq2_0", "dense"):
            for base in copies:
                ratios.setdefault((name, base), []).append(took[base] / took[name])
    copy.unlink(missing_ok=True)
    path.unlink()
    for name, goal in (("pq2_0", .8), ("dense", .5)):
        ratio = statistics.median(ratios[name, "cp"])
        synced = statistics.median(ratios[name, "cp and sync"])
        yield entry(f"trit project of 1 GiB of f32 to {name}, of cp", round(ratio, 2), "ratio",
                    f">= {goal}", ratio >= goal, f"{synced:.2f} of cp that waits for the disk")


def measure(trit, daemon, address, folder, entry):
    """Entries of bench.json: project and verify, as ratios to cat, and peaks. `address` is the
    daemon's, for trit."""
    folder, trit = pathlib.Path(folder), pathlib.Path(trit)
    model = folder / "model"
    model.mkdir()
    size = make(model)
    environment = dict(os.environ, TRITD_ADDRESS=address)
    files = sorted(map(str, model.glob("*.safetensors")))
    ratios, peaks, rates, costs, cats = {}, {}, {}, {}, []
    reach, cost = bounds(folder, files, trit.parent / "tests" / "bench" / "bench_path")

    def note(measure, words, cat, read):
        touch_free_memory()
        begun = cpu_seconds(daemon)
        seconds, peak = timed(words, env=environment)
        ratios.setdefault(measure, []).append((read / seconds) / (size / cat))
        rates.setdefault(measure, []).append(read / seconds / 1e9)
        costs.setdefault(measure, []).append((cpu_seconds(daemon) - begun) / read * 1e9)
        peaks[measure] = max(peak, peaks.get(measure, 0))

    for _ in range(ROUNDS):
        timed(["cat", *files])
        cat, _ = timed(["cat", *files])
        cats.append(size / cat / 1e9)
        for encoding in ("int8", "pq2_0", "dense"):
            out = folder / encoding
            shutil.rmtree(out, ignore_errors=True)
            words = [str(trit), "project", str(model), "-o", str(out), "-e", encoding]
            note(f"project to {encoding}", words, cat, size)
        packed = sum(path.stat().st_size for path in (folder / "int8").glob("*.safetensors"))
        words = [str(trit), "verify", str(folder / "int8")]
        note("verify of int8", words, cat, packed)
        # The daemon's own files; its root is `folder`.
        words = [str(trit), "jobs", "project", "model", "-o", "job.gguf", "-e", "pq2_0", "--force"]
        note("jobs project to a GGUF of pq2_0", words, cat, size)
        words = [str(trit), "jobs", "verify", "job.gguf"]
        note("jobs verify of that GGUF", words, cat, (folder / "job.gguf").stat().st_size)
    goals = {"project to int8": .35, "verify of int8": .5,
             "jobs project to a GGUF of pq2_0": .5, "jobs verify of that GGUF": .8}
    for name, found in ratios.items():
        ratio, goal = statistics.median(found), goals.get(name)
        yield entry(f"trit {name}, {size / 1e9:.1f} GB of bf16 shards, of cat", round(ratio, 3),
                    "ratio", goal and f">= {goal}", goal and ratio >= goal,
                    f"{statistics.median(rates[name]):.2f} GB/s read, "
                    f"{statistics.median(costs[name]):.2f} CPU s/GB of trit and tritd")
    for name, (rate, seconds) in reach.items():
        yield entry(f"what the steps of {name} allow on {CORES} cores, of cat",
                    round(rate / statistics.median(cats), 3), "ratio",
                    against=f"{rate:.2f} GB/s: {seconds:.2f} CPU s/GB of " + ", ".join(
                        f"{step} {value:.3f}" for step, value in cost.items()))
        yield entry(f"trit {name}, of what its steps allow",
                    round(statistics.median(rates[name]) / rate, 2), "ratio")
    for name, peak in (("trit", max(peaks.values())), ("tritd", daemon.memory_kib() / 1024)):
        yield entry(f"peak memory of {name} over whole checkpoints", round(peak, 1), "MiB",
                    f"<= {PEAK_MIB_MAX}", peak <= PEAK_MIB_MAX)
    shutil.rmtree(model)
    yield from one_file(trit, address, folder, entry)
