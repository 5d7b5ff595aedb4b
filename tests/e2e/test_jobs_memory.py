# SPDX-License-Identifier: Apache-2.0
"""What jobs over checkpoints hold is granted from the memory budget: the tables of the files
that they open, and the results that are kept."""
import json

import grpc
import pytest

from jobs import Checkpoints, metric, wait_for
from tritd import Daemon, refused

BUDGET = 160 << 20


def save_tensors(path, count):
    """A file of this many tensors of four bytes; returns the length of its header."""
    header = json.dumps({f"blocks.{i:06}.norm": {"dtype": "F32", "shape": [1],
                                                 "data_offsets": [4 * i, 4 * i + 4]}
                         for i in range(count)}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4 * count))
    return len(header)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def small(root, tmp_path_factory):
    """A daemon of 160 MiB, of which a job takes 64 MiB."""
    daemon = Daemon(tmp_path_factory.mktemp("small"), "--checkpoint-root", root, "--memory-max",
                    BUDGET, durable=False)
    yield daemon
    assert daemon.stop() == 0, daemon.log()[-4000:]


def used(daemon):
    return metric(daemon, "tritd_memory_budget_used_bytes")


def test_a_file_whose_tables_do_not_fit_is_refused(small, root):
    """A header of 4 MB would take 320 MB. Nothing stays charged, and other files are read."""
    assert save_tensors(root / "many.safetensors", 50_000) > 4_000_000
    save_tensors(root / "few.safetensors", 3)
    service = Checkpoints(small)
    refusals = metric(small, 'tritd_limit_refusals_total{limit="memory_bytes"}')
    before = used(small)
    refused(lambda: service.run("Inspect", "many.safetensors"),
            grpc.StatusCode.RESOURCE_EXHAUSTED, "many.safetensors", "memory budget")
    assert metric(small, 'tritd_limit_refusals_total{limit="memory_bytes"}') == refusals + 1
    wait_for(lambda: used(small) < before + (1 << 20))
    assert len(service.run("Inspect", "few.safetensors").json["tensors"]) == 3


def test_kept_results_take_a_part_of_the_budget(small, root):
    """Results are charged while they are kept. Those beyond a sixteenth of the budget are
    forgotten, the oldest first; the newest stays."""
    save_tensors(root / "some.safetensors", 10_000)
    service = Checkpoints(small)
    sizes = [sum(len(message.result) for message in
                 service.run("Inspect", "some.safetensors").messages)]
    wait_for(lambda: used(small) >= sizes[0])
    runs = BUDGET // 16 // sizes[0] + 2
    names = [service.run("Inspect", "some.safetensors").messages[0].job for _ in range(runs)]
    wait_for(lambda: service.jobs()[0].ended_unix_ns)
    kept = [job.job for job in service.jobs()]
    assert kept[0] == names[-1] and len(kept) < runs
    wait_for(lambda: used(small) < BUDGET // 16 + (4 << 20))
