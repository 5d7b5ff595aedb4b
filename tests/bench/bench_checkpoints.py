# SPDX-License-Identifier: Apache-2.0
"""Whole checkpoints through `trit`: a Qwen3-shaped folder of bf16 shards in page cache,
against `cat` of the same files.

Rounds of cat, project and verify follow one another; a figure is the median of its ratio
to the cat of the same round, so that a machine that slows down slows both. A verification is
compared with a cat of what it verifies. Before each
command free memory is touched: a virtual machine may have given it back to its host, and
the first write to a page then costs ten times as much as the command.

bench_path measures what each step of the way costs by itself. Their sum bounds the rate on
two cores; trit and tritd do more, such as HTTP/2 and reports.

At last the same jobs run in a daemon that may have less memory than the checkpoint has bytes.
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

import numpy as np

from tritd import children_cpu_seconds, cpu_seconds

PEAK = pathlib.Path(__file__).resolve().parents[1] / "lib" / "peak.py"
LAYERS, HIDDEN, INNER, HEADS, VOCABULARY = 28, 1024, 3072, 2048, 151936
SHARD_BYTES = 320 << 20
ROUNDS = 5
ONE_LAYERS = 16
PEAK_MIB_MAX = 256
ADDRESS_MIB_MAX = 1024  # of the last daemon; the checkpoint has 1137 MiB
FULL, NONE = "with reports", "without reports"
CORES = 2
FREE_BYTES = 3 << 30  # touched before a command; more than one of them needs


PROJECT = "jobs project to a GGUF of pq2_0"
VERIFY = "jobs verify of that GGUF"
PROJECT_WORDS = ["jobs", "project", "model", "-o", "job.gguf", "-e", "pq2_0"]


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


def cpu_of_both(daemon):
    """Seconds, of the daemon and of all commands that have ended."""
    return cpu_seconds(daemon.process.pid) + children_cpu_seconds()


def timed(words, **more):
    """Seconds and peak MiB of a command that must succeed."""
    with tempfile.NamedTemporaryFile("r") as peak:
        done = subprocess.run([sys.executable, str(PEAK), peak.name, *words],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)
        if done.returncode:
            raise RuntimeError(f"{words}: {done.stderr.decode()}")
        kib, seconds = peak.read().split()
        return float(seconds), int(kib) / 1024


def cat(files):
    """Seconds; the files are in page cache."""
    timed(["cat", *files])
    return timed(["cat", *files])[0]


def quartiles(figures, digits):
    """The median, and a dict of the quartiles."""
    ordered = sorted(figures)
    return round(statistics.median(ordered), digits), {
        "q1": round(ordered[len(ordered) // 4], digits),
        "q3": round(ordered[-1 - len(ordered) // 4], digits)}


def touch_free_memory():
    with mmap.mmap(-1, FREE_BYTES) as memory:
        for at in range(0, FREE_BYTES, 1 << 20):
            memory[at:at + (1 << 20)] = bytes(1 << 20)


def bounds(folder, files, program):
    """GB/s of input that two cores can reach, by the cost of each step, and that cost in CPU
    seconds per GB of input: of trit with the daemon in shared memory, and of jobs."""
    done = subprocess.run([str(program), str(folder / "written"), *files], check=True,
                          stdout=subprocess.PIPE, text=True)
    cost = json.loads(done.stdout)
    sent = cost["read"] + cost["tile"]  # nothing moves through a socket
    hashed = 1 / 4 + 1 / 32  # of the bytes of int8: 2 bits a weight, 4 bytes a group of 128
    seconds = {"project to int8": sent + cost["project"] + cost["digest"] * hashed / 2
               + (cost["write"] + cost["tile"]) / 2,
               "verify of int8": sent + cost["verify"] + cost["digest"] * hashed}
    packed = 34 / 256  # bytes of pq2_0 for one of bf16
    codes = 36 / 34    # bytes of the digest for one of pq2_0
    for how, bare in ((FULL, ""), (NONE, " without report")):
        seconds[f"{PROJECT} {how}"] = cost["read"] + cost["pack" + bare] + cost["write"] * packed
        seconds[f"{VERIFY} {how}"] = cost["read"] + cost["check" + bare]
    seconds[f"{PROJECT} {FULL}"] += cost["digest"] * codes * packed
    seconds[f"{VERIFY} {FULL}"] += cost["digest"] * codes
    written = {"project to int8": 1 / 2, f"{PROJECT} {FULL}": packed, f"{PROJECT} {NONE}": packed}
    return {name: (min(CORES / second, 1 / (written.get(name, 0) * cost["disk"] or 1e-9)), second)
            for name, second in seconds.items()}, cost


def small_memory(trit, start, folder, size, entry):
    """An entry: project and verify by a daemon whose address space is smaller than the
    checkpoint, and whose writable memory, stacks included, is PEAK_MIB_MAX."""
    daemon, address = start("small")
    try:
        for limit, mib in ((resource.RLIMIT_AS, ADDRESS_MIB_MAX), (resource.RLIMIT_DATA, PEAK_MIB_MAX)):
            resource.prlimit(daemon.process.pid, limit, (mib << 20, mib << 20))
        assert size > ADDRESS_MIB_MAX << 20
        environment = dict(os.environ, TRITD_ADDRESS=address)
        failed = None
        try:
            timed([str(trit), *PROJECT_WORDS, "--force"], env=environment)
            timed([str(trit), "jobs", "verify", "job.gguf", "--against", "model"], env=environment)
        except RuntimeError as error:
            failed = str(error)
        peak = daemon.memory_kib() / 1024
        return entry(f"peak memory of tritd, jobs over {size / 1e9:.1f} GB in {ADDRESS_MIB_MAX} MiB of addresses",
                     round(peak, 1), "MiB", f"<= {PEAK_MIB_MAX}", not failed and peak <= PEAK_MIB_MAX,
                     failed or "project, and verify against the checkpoint")
    finally:
        daemon.stop()


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
    copy, found = folder / "copy.safetensors", {}
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
                found.setdefault((name, base), []).append(took[base] / took[name])
    copy.unlink(missing_ok=True)
    path.unlink()
    for name, goal in (("pq2_0", .8), ("dense", .5)):
        ratio, spread = quartiles(found[name, "cp"], 2)
        synced = statistics.median(found[name, "cp and sync"])
        yield entry(f"trit project of 1 GiB of f32 to {name}, of cp", ratio, "ratio",
                    f">= {goal}", ratio >= goal, f"{synced:.2f} of cp that waits for the disk", **spread)


def rounds(trit, daemon, address, folder, size):
    """For each measure its figures of all rounds; the peak of trit; and GB/s of cat."""
    files = sorted(map(str, (folder / "model").glob("*.safetensors")))
    environment = dict(os.environ, TRITD_ADDRESS=address)
    found, peaks, cats = {}, [], []

    def note(measure, words, base, read):
        touch_free_memory()
        begun = cpu_of_both(daemon)
        seconds, peak = timed([str(trit), *words], env=environment)
        figures = found.setdefault(measure, {"ratio": [], "rate": [], "cost": []})
        figures["ratio"].append((read / seconds) / base)
        figures["rate"].append(read / seconds / 1e9)
        figures["cost"].append((cpu_of_both(daemon) - begun) / read * 1e9)
        peaks.append(peak)

    for _ in range(ROUNDS):
        base = size / cat(files)
        cats.append(base / 1e9)
        for encoding in ("int8", "pq2_0", "dense"):
            out = folder / encoding
            shutil.rmtree(out, ignore_errors=True)
            note(f"project to {encoding}",
                 ["project", str(folder / "model"), "-o", str(out), "-e", encoding], base, size)
        packed = sum(path.stat().st_size for path in (folder / "int8").glob("*.safetensors"))
        note("verify of int8", ["verify", str(folder / "int8")], base, packed)
        # The daemon's own files; its root is `folder`.
        job = folder / "job.gguf"
        for how, detail in ((FULL, "full"), (NONE, "none")):
            job.unlink(missing_ok=True)
            note(f"{PROJECT} {how}", [*PROJECT_WORDS, "--report-detail", detail], base, size)
        packed = job.stat().st_size
        base = packed / cat([str(job)])
        for how, detail in ((FULL, "full"), (NONE, "none")):
            note(f"{VERIFY} {how}", ["jobs", "verify", "job.gguf", "--report-detail", detail], base, packed)
    return found, max(peaks), cats


def measure(trit, start, folder, entry):
    """Entries of bench.json: project and verify, as ratios to cat, and peaks. start(NAME) gives
    a daemon with `folder` as its root and its address for trit."""
    folder, trit = pathlib.Path(folder), pathlib.Path(trit)
    model = folder / "model"
    model.mkdir()
    size = make(model)
    reach, cost = bounds(folder, sorted(map(str, model.glob("*.safetensors"))),
                         trit.parent / "tests" / "bench" / "bench_path")
    daemon, address = start("data")
    try:
        found, peak, cats = rounds(trit, daemon, address, folder, size)
        yield from ratios(found, reach, cost, cats, size, entry)
        for name, mib in (("trit", peak), ("tritd", daemon.memory_kib() / 1024)):
            yield entry(f"peak memory of {name} over whole checkpoints", round(mib, 1), "MiB",
                        f"<= {PEAK_MIB_MAX}", mib <= PEAK_MIB_MAX)
        yield small_memory(trit, start, folder, size, entry)
        shutil.rmtree(model)
        yield from one_file(trit, address, folder, entry)
    finally:
        daemon.stop()


def ratios(found, reach, cost, cats, size, entry):
    def measure(name):
        return f"trit {name}, {size / 1e9:.1f} GB of bf16 shards, of cat"

    goals = {"project to int8": .35, "verify of int8": .5, f"{PROJECT} {FULL}": .5,
             f"{PROJECT} {NONE}": .5, f"{VERIFY} {FULL}": .8, f"{VERIFY} {NONE}": .8}
    for name, figures in found.items():
        ratio, spread = quartiles(figures["ratio"], 3)
        goal = goals.get(name)
        yield entry(measure(name), ratio, "ratio",
                    goal and f">= {goal}", goal and ratio >= goal,
                    f"{statistics.median(figures['rate']):.2f} GB/s read, "
                    f"{statistics.median(figures['cost']):.2f} CPU s/GB of trit and tritd", **spread)
    steps = ", ".join(f"{step} {value:.3f}" for step, value in cost.items())
    for name, (rate, seconds) in reach.items():
        yield entry(f"what its steps allow: {measure(name)}",
                    round(rate / statistics.median(cats), 3), "ratio",
                    against=f"{CORES} cores, {rate:.2f} GB/s: {seconds:.2f} CPU s/GB of {steps}")
        share, spread = quartiles([one / rate for one in found[name]["rate"]], 2)
        yield entry(f"trit {name}, of what its steps allow", share, "ratio", **spread)
