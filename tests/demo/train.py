# SPDX-License-Identifier: Apache-2.0
"""Three workers train a ternary transformer through tritd.

They are data-parallel over gloo; one call has the projections of all
layers in a forward pass; all ranks verify all layers every 20 steps under one run
name, so that replicas that differ would be told. Then the same training once
more with projections made in torch: both loss curves must have the same bits,
and so must the final weights. Exit code 0 only if all that is claimed holds.
"""
import argparse
import hashlib
import json
import math
import os
import pathlib
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # three workers share the cores
os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
import torch.multiprocessing as multiprocessing  # noqa: E402
import torch.nn.functional as F  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))

import trit  # noqa: E402
import trit.torch as ternary  # noqa: E402
from daemon import Daemon  # noqa: E402
from model import Shape, Transformer  # noqa: E402
from text import OrderTwo, Text  # noqa: E402

WORKERS = 3
RUN = "demo"
SEED = 561
CALL_SECONDS = 60
WARMUP = 0.05  # of all steps; then the rate falls along a cosine


class TimedClient(trit.Client):
    """Counts projections and the calls that make them, and sums up how long they take."""

    seconds, calls, projections = 0.0, 0, 0

    def _timed(self, count, call):
        self.calls, self.projections = self.calls + 1, self.projections + count
        began = time.perf_counter()
        try:
            return call()
        finally:
            self.seconds += time.perf_counter() - began

    def project(self, *args, **options):
        return self._timed(1, lambda: super(TimedClient, self).project(*args, **options))

    def project_batch(self, tensors, **options):
        return self._timed(len(tensors),
                           lambda: super(TimedClient, self).project_batch(tensors, **options))


# ---- a worker ---------------------------------------------------------------------

def average_gradients(parameters):
    """One all-reduce of all gradients; the sum's order is gloo's ring, always the same."""
    flat = torch.cat([one.grad.reshape(-1) for one in parameters])
    dist.all_reduce(flat)
    flat /= WORKERS
    for one, part in zip(parameters, flat.split([one.numel() for one in parameters])):
        one.grad.copy_(part.view_as(one))


def rate_at(step, args):
    warm = max(1, int(args.steps * WARMUP))
    if step < warm:
        return args.rate * (step + 1) / warm
    done = (step - warm) / (args.steps - warm)
    return args.rate * (0.02 + 0.49 * (1 + math.cos(math.pi * done)))


def digest_of(model):
    sha = hashlib.sha256()
    for one in model.parameters():
        sha.update(one.detach().numpy().tobytes())
    return sha.hexdigest()


@torch.no_grad()
def held_out_perplexity(model, ids):
    """Over all but the first character, each with at least half a context before it
    (where the text has one)."""
    half = model.shape.context // 2
    ids, log, counted = torch.tensor(ids), 0.0, 0
    for begin in range(0, len(ids) - 1, half):
        window = ids[begin:begin + 2 * half]
        losses = F.cross_entropy(model(window[None, :-1])[0], window[1:], reduction="none")
        fresh = losses if begin == 0 else losses[half - 1:]
        log, counted = log + fresh.double().sum().item(), counted + len(fresh)
        if begin + 2 * half >= len(ids):
            break
    assert counted == len(ids) - 1
    return math.exp(log / counted)


def train(rank, args, text, client):
    """One run; what rank 0 gives is what all did."""
    torch.manual_seed(SEED)
    model = Transformer(Shape(len(text.alphabet), layers=args.layers))
    ternary.set_client(model, client)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=args.rate, betas=(0.9, 0.95), weight_decay=0.0)
    after_step = ternary.verify_every(model, RUN, every=args.every, client=client)
    ids, context = torch.tensor(text.train), model.shape.context
    draw = torch.Generator().manual_seed(SEED + 1 + rank)
    losses, seconds, verifying = [], 0.0, 0.0
    if client is not None:
        after_step(0)
    for step in range(args.steps):
        began = time.perf_counter()
        optimizer.param_groups[0]["lr"] = rate_at(step, args)
        at = torch.randint(len(ids) - context - 1, (args.batch,), generator=draw)
        batch = torch.stack([ids[i:i + context + 1] for i in at.tolist()])
        logits = model(batch[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), batch[:, 1:].reshape(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        mean = loss.detach().clone()
        dist.all_reduce(mean)
        losses.append((mean / WORKERS).item())
        seconds += time.perf_counter() - began
        if client is None:
            continue
        began = time.perf_counter()
        reports = after_step(step + 1)
        verifying += time.perf_counter() - began
        if reports and rank == 0:
            tell(step + 1, losses, reports)
    rpc, calls, projections = (
        (client.seconds, client.calls, client.projections) if client else (0.0, 0, 0))
    result = {"losses": losses, "seconds": seconds, "rpc": rpc, "calls": calls,
              "projections": projections, "verifying": verifying,
              "digest": digest_of(model), "history": after_step.history}
    if rank == 0:
        result["perplexity"] = held_out_perplexity(model, text.held_out)
        if client is not None:
            result["final"] = ternary.verify_ternary_weights(model, client)
    return result


def share(reports, count):
    """A count's share of the elements of all layers."""
    return (sum(getattr(one, count) for one in reports.values()) /
            sum(one.elements for one in reports.values()))


def tell(step, losses, reports):
    print(f"  step {step:4}  loss {losses[-1]:.4f}  flips {share(reports, 'flips'):.4f}  "
          f"zeros {share(reports, 'zeros'):.3f}  {'#' * round(losses[-1] * 10)}", flush=True)


def worker(rank, args, meeting, address, results):
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank,
                            world_size=WORKERS)
    client = TimedClient(address, timeout=CALL_SECONDS) if address else None
    result = train(rank, args, Text(), client)
    # These outlive the group. gloo's threads drop a tensor some time after the call; to
    # drop the last reference they need the GIL, which destroy_process_group holds while
    # it waits for them.
    digest = torch.tensor(list(bytes.fromhex(result["digest"])))
    least, most = digest.clone(), digest.clone()
    dist.all_reduce(least, op=dist.ReduceOp.MIN)
    dist.all_reduce(most, op=dist.ReduceOp.MAX)
    assert torch.equal(least, most), f"replicas differ: {result['digest']} is not every rank's"
    if rank == 0:
        torch.save(result, results)
    dist.destroy_process_group()


# ---- all of it --------------------------------------------------------------------

def cluster(args, folder, name, address):
    """A run of three workers; rank 0's result."""
    results = folder / f"{name}.pt"
    multiprocessing.spawn(worker, (args, str(folder / f"{name}.meeting"), address, str(results)),
                          nprocs=WORKERS)
    return torch.load(results, weights_only=False)


def print_layers(final):
    print(f"\n  {'layer':24} {'shape':>12} ternary  valid  max error  samples")
    for name, one in final.items():
        shape = "x".join(map(str, one["shape"]))
        print(f"  {name:24} {shape:>12} {str(one['is_ternary']):7}  {one['fraction_valid']:.3f}  "
              f"{one['max_round_error']:9.1e}  {list(one['sample_values'])}")


def judge(args, by_rpc, local, order_two):
    """What is claimed, each with whether it holds."""
    flips = [share(reports, "flips") for _, reports in sorted(by_rpc["history"].items())][1:]
    curves = list(map(float.hex, by_rpc["losses"])) == list(map(float.hex, local["losses"]))
    claims = {
        f"every projection was by RPC: {by_rpc['projections']} of each worker":
            by_rpc["projections"] == args.steps * len(by_rpc["final"]),
        "one call had all projections of a step": by_rpc["calls"] == args.steps,
        "loss falls": by_rpc["losses"][-1] < by_rpc["losses"][0],
        f"loss curves equal bit for bit over {args.steps} steps": curves,
        "final weights equal bit for bit": by_rpc["digest"] == local["digest"],
        "every layer ternary, max_round_error 0": all(
            one["is_ternary"] and one["max_round_error"] == 0 for one in by_rpc["final"].values()),
        f"flips fall: {flips[0]:.4f} to {flips[-1]:.4f}": flips[-1] < flips[0],
    }
    if not args.short:
        claims[f"held-out perplexity {by_rpc['perplexity']:.3f} beats order-2 {order_two:.3f}"] = \
            by_rpc["perplexity"] < order_two
    return claims


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--every", type=int, default=20, help="steps between verifications")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8, help="sequences a worker")
    parser.add_argument("--rate", type=float, default=6e-3)
    parser.add_argument("--short", action="store_true",
                        help="too short to learn: do not ask for the perplexity")
    parser.add_argument("--json", type=pathlib.Path, help="the figures, for a test")
    return parser.parse_args()


def main():
    args = parse()
    began = time.monotonic()
    text = Text()
    print(f"{len(text.train)} characters to learn, {len(text.held_out)} held out, "
          f"{len(text.alphabet)} different; {WORKERS} workers, {args.steps} steps\n\nby RPC:")
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        daemon = Daemon(folder / "daemon")
        try:
            by_rpc = cluster(args, folder, "rpc", daemon.rpc)
            with trit.Client(daemon.rpc, timeout=CALL_SECONDS) as client:
                stored = client.reports.list(RUN)
            print(f"\n  {len(stored)} reports stored, {len(by_rpc['history'])} steps of "
                  f"{len(by_rpc['final'])} layers")
            assert len(stored) == len(by_rpc["history"]) * len(by_rpc["final"])
        finally:
            code = daemon.stop()
        assert code == 0, "the daemon did not leave as it should"
        print_layers(by_rpc["final"])
        rpc_share = by_rpc["rpc"] / by_rpc["seconds"]
        print(f"\n  step time {by_rpc['seconds'] / args.steps * 1e3:.0f} ms, {rpc_share:.1%} of it in "
              f"RPC; verification {by_rpc['verifying']:.1f} s in all\n\nthe same without a daemon:")
        local = cluster(args, folder, "local", None)
        print(f"  step time {local['seconds'] / args.steps * 1e3:.0f} ms\n")
    order_two = OrderTwo(text.train, len(text.alphabet)).perplexity(text.held_out)
    print(f"held-out perplexity: transformer {by_rpc['perplexity']:.3f}, order-2 {order_two:.3f}")
    claims = judge(args, by_rpc, local, order_two)
    for claim, holds in claims.items():
        print(f"  {'yes' if holds else 'NO '}  {claim}")
    print(f"{time.monotonic() - began:.0f} s in all")
    if args.json:
        args.json.write_text(json.dumps({
            "claims": claims, "losses": by_rpc["losses"], "rpc_share": rpc_share,
            "perplexity": by_rpc["perplexity"], "order_two": order_two}))
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
