# SPDX-License-Identifier: Apache-2.0
"""Shards of layers: cuts, calls, and comparison with a call that has the whole layer."""
import itertools

import numpy as np

import claims
import reference as ref
from tritd import CALL_SECONDS, report_pb2, tensor_pb2

# What one call with the whole layer says otherwise.
OWN = ("run", "time_unix_ns", "version", "kernel")


def grid(shape, *cuts):
    """Boxes (slices) of a layer, cut along each axis at the given positions."""
    axes = []
    for size, at in zip(shape, cuts):
        edges = [0, *at, size]
        axes.append([slice(*pair) for pair in zip(edges, edges[1:])])
    return list(itertools.product(*axes))


def layer(run, box, shape, name="up", step=1, **fields):
    """The LayerRef of a box."""
    return tensor_pb2.LayerRef(run=run, layer=name, step=step, shard=tensor_pb2.Shard(
        global_shape=shape, offset=[one.start for one in box]), **fields)


def whole(run, name="up", step=1, **fields):
    return tensor_pb2.LayerRef(run=run, layer=name, step=step, **fields)


def project(daemon, values, where, **options):
    return claims.project(daemon, values, layer=where, **options).report


def project_stream(daemon, values, where, **options):
    return claims.project_stream(daemon, values, layer=where, **options)[2]


def verify(daemon, values, where, reference=None, **options):
    return claims.verify(daemon, values.tobytes(), values.shape, layer=where,
                         reference=reference if reference is None else ref.tensor(reference),
                         **options)


def verify_stream(daemon, values, where, reference=None, **options):
    return claims.verify_stream(daemon, values.tobytes(), values.shape, layer=where,
                                reference=reference if reference is None
                                else ref.tensor(reference), **options)


def part(values, box):
    return np.ascontiguousarray(values[box])


def send(daemon, method, values, boxes, run, reference=None, **fields):
    """Sends each box; the answers."""
    more = {key: fields.pop(key) for key in list(fields)
            if key not in ("name", "step", "attempt", "replica")}
    answers = []
    for box in boxes:
        if reference is not None:
            more["reference"] = part(reference, box)
        answers.append(method(daemon, part(values, box),
                              layer(run, box, values.shape, **fields), **more))
    return answers


def get(daemon, run, name="up", step=1, **fields):
    return daemon.reports.Get(report_pb2.ReportsGetRequest(
        run=run, layer=name, step=step, **fields), timeout=CALL_SECONDS).report


def waiting(daemon, run="", **fields):
    found, query = [], report_pb2.ReportsListRequest(run=run, waiting=True, **fields)
    while True:
        page = daemon.reports.List(query, timeout=CALL_SECONDS)
        found += page.reports
        if not page.next_page_token:
            return found
        query.page_token = page.next_page_token


def alike(report):
    """The report without what differs between two calls of one content."""
    copy = report_pb2.LayerReport()
    copy.CopyFrom(report)
    for field in OWN:
        copy.ClearField(field)
    return copy
