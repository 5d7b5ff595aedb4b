# SPDX-License-Identifier: Apache-2.0
"""The service Checkpoints of a daemon."""
import json
import time
import urllib.request
from typing import NamedTuple

from tritd import CALL_SECONDS

from trit.v1 import checkpoints_pb2 as pb
from trit.v1 import checkpoints_pb2_grpc


class Result(NamedTuple):
    messages: list
    verdict: str
    json: dict

    @property
    def reports(self):
        return [message for message in self.messages if message.HasField("report")]


def gathered(stream):
    """All of a stream."""
    messages = list(stream)
    text = "".join(message.result for message in messages)
    return Result(messages, messages[-1].verdict, json.loads(text) if text else None)


class Checkpoints:
    def __init__(self, daemon):
        self.stub = checkpoints_pb2_grpc.CheckpointsStub(daemon.channel)

    def options(self, **options):
        return pb.CheckpointOptions(**options) if options else None

    def stream(self, method, path, options=None, timeout=CALL_SECONDS, **fields):
        request = getattr(pb, f"Checkpoints{method}Request")(
            path=path, options=self.options(**(options or {})), **fields)
        return getattr(self.stub, method)(request, timeout=timeout)

    def run(self, method, path, options=None, **fields):
        return gathered(self.stream(method, path, options, **fields))

    def jobs(self):
        return list(self.stub.Jobs(pb.CheckpointsJobsRequest(), timeout=CALL_SECONDS).jobs)

    def job(self, name):
        return next(job for job in self.jobs() if job.job == name)

    def attach(self, job):
        return self.stub.Attach(pb.CheckpointsAttachRequest(job=job), timeout=CALL_SECONDS)

    def cancel(self, job):
        self.stub.Cancel(pb.CheckpointsCancelRequest(job=job), timeout=CALL_SECONDS)


def metric(daemon, name):
    """The value of a metric; the name has its labels."""
    with urllib.request.urlopen(f"http://{daemon.http}/metrics", timeout=CALL_SECONDS) as reply:
        return next(float(line.split()[-1]) for line in reply.read().decode().splitlines()
                    if line.startswith(name + " "))


def finished(daemon, kind, result):
    """How many jobs ended so."""
    return metric(daemon, f'tritd_jobs_finished_total{{kind="{kind}",result="{result}"}}')


def wait_for(condition):
    deadline = time.monotonic() + CALL_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
