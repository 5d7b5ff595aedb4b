# SPDX-License-Identifier: Apache-2.0
"""The blocking client."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional, Sequence, Tuple, Type, Union

import numpy as np

from ._arguments import PathLike, c_text, flag, member, real
from ._arrays import STORAGE, Array, view_elements
from ._batch import project_batch
from ._buffer import Buffer
from ._call import Call, Progress
from ._filing import Layer, fill_filing
from ._handle import Handle
from ._native import ffi, lib, new
from ._packed import Packed, PackSource, c_group_size
from ._results import dense_result, packed_in, projection_of, writable
from ._retry import Fallback, Outage, RetryPolicy, check_fallback
from ._secure import AnyTLS
from ._tensors import address_of, c_tensor, take
from .checkpoint import Checkpoint
from .checkpoints import Checkpoints
from .errors import Error, InvalidArgument
from .layers import Layers
from .reports import Report, Reports, Shard, report_of
from .types import (
    AnyDurability,
    AnyEncoding,
    AnyPartialGroup,
    AnyReportDetail,
    AnyVerifyMode,
    DType,
    Durability,
    Encoding,
    FloatName,
    PartialGroup,
    Projection,
    ReportDetail,
    VerifyMode,
)

__all__ = ["Client"]


class Client:
    """A connection to tritd.

    It connects at the first call. Any number of threads may call at once; the GIL is
    released while a call runs. A client survives fork and pickling: both connect anew.

    Examples in this package use an open `client` and `weights`, an f32 array [256, 256].

    Attributes:
        reports: The stored reports, see `trit.reports.Reports`.
        layers: The layers that the daemon holds, see `trit.layers.Layers`.
        checkpoints: Jobs over checkpoints on the daemon's disk, see
            `trit.checkpoints.Checkpoints`.

    Example:
        >>> with trit.Client(address, timeout=30) as client:
        ...     projection = client.project(weights, encoding="pq2_0")
        ...     report = client.verify(projection)
        >>> report.is_ternary
        True
    """

    def __init__(
        self,
        address: Optional[str] = None,
        *,
        timeout: Optional[float] = None,
        connections: int = 0,
        stream_bytes_min: int = 0,
        message_bytes_max: int = 0,
        token: Optional[str] = None,
        token_file: Optional[PathLike] = None,
        tls: AnyTLS = None,
        wait_for_ready: bool = False,
        retry: Optional[RetryPolicy] = None,
        fallback: Fallback = None,
    ) -> None:
        """Makes a client; it connects at its first call.

        Args:
            address: "host:port" or "unix:/path"; None for the environment variable
                TRITD_ADDRESS, else 127.0.0.1:6561.
            timeout: Seconds for each call that brings no timeout of its own; None or
                math.inf for no limit.
            connections: Connections, 1 to 16, that one streamed projection without a report
                is spread over; 0 for 2.
            stream_bytes_min: Tensors of this many bytes and more are streamed; 0 for 4 MiB.
            message_bytes_max: Largest reply message accepted, in bytes; 0 for 1 GiB.
            token: The token that says who calls. None, and no token_file: the environment
                variables TRIT_TOKEN and TRIT_TOKEN_FILE. A pickled client has it in it.
            token_file: A file with the token in one line, read again when it changes.
            tls: True for TLS, a path for TLS with these authorities (a PEM file), or a
                trit.TLS; False for a plain connection; None for what the environment says
                (TRIT_TLS, TRIT_TLS_CA and so on). A Unix socket is always plain.
            wait_for_ready: Whether a call to a daemon that cannot be reached waits for it until
                the call's timeout; else it raises Unavailable.
            retry: How failed calls are tried again. None: only those that the daemon did not
                begin, and those on a kept connection that turns out to be dead.
            fallback: "local": while the daemon cannot be reached, layers of trit.torch and
                trit.mlx that have this client project by themselves, to the same bits. The
                first time is a RuntimeWarning, each time is logged (logger "trit").

        Raises:
            InvalidArgument: The address or another argument has no valid value.
            InvalidType: An argument has the wrong type.

        Example:
            >>> client = trit.Client(address)
            >>> client.ping()
            True
            >>> client.close()
        """
        self._options: Dict[str, Any] = {
            "address": address,
            "timeout": timeout,
            "connections": connections,
            "stream_bytes_min": stream_bytes_min,
            "message_bytes_max": message_bytes_max,
            "token": token,
            "token_file": token_file,
            "tls": tls,
            "wait_for_ready": wait_for_ready,
            "retry": retry,
        }
        self._fallback = check_fallback(fallback)
        self._handle = Handle(**self._options)
        if fallback is not None and wait_for_ready and timeout in (None, math.inf):
            raise InvalidArgument(
                "fallback: with wait_for_ready it needs a timeout, after which layers project "
                "by themselves; give the client a timeout",
                "fallback",
            )
        self._outage = Outage(self._is_reachable)
        self.reports = Reports(self._handle)
        self.layers = Layers(self._handle)
        self.checkpoints = Checkpoints(self._handle)

    def __reduce__(self) -> Tuple[Any, ...]:
        return _make, (type(self), {**self._options, "fallback": self._fallback})

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None:
            handle.close()

    def close(self) -> None:
        """Waits for running calls, then disconnects. A second close does nothing.

        Calls that wait for a connection raise Cancelled a second later.

        Raises:
            FailedPrecondition: A callback, or the handler of a signal, was called during a call of
                this thread. No call begins any more; close again after it.

        Example:
            >>> client = trit.Client(address)
            >>> client.close()
        """
        self._handle.close()

    @property
    def fallback(self) -> Fallback:
        """What layers do while the daemon cannot be reached: "local", or None.

        Returns:
            As it was given to the client.

        Example:
            >>> client.fallback is None
            True
        """
        return self._fallback

    def _is_reachable(self) -> bool:
        """Whether the daemon serves; takes a second at most, and does not wait for it."""
        try:
            return self._ping("", Call(1, probe=True))
        except Error:
            return False

    @property
    def checkpoint(self) -> Checkpoint:
        """Calls over whole checkpoints: files, folders and state dicts.

        Returns:
            See `trit.checkpoint.Checkpoint`.

        Example:
            >>> sorted(client.checkpoint.project({"fc.weight": weights}).reports)
            ['fc.weight']
        """
        return Checkpoint(self)

    def ping(self, service: str = "", *, timeout: Optional[float] = None) -> bool:
        """Asks whether the daemon serves.

        Args:
            service: A gRPC service, such as "trit.v1.Layers"; "" for the whole daemon.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Returns:
            Whether it serves; False while it shuts down.

        Raises:
            NotFound: The daemon has no such service.
            Unavailable: The daemon cannot be reached.

        Example:
            >>> client.ping()
            True
        """
        return self._ping(service, Call(timeout))

    def _ping(self, service: str, call: Call) -> bool:
        options, serving = new("struct trit_call_options *"), ffi.new("bool *")
        call.fill(options)
        name = c_text(service, "service")
        call.check(lib.trit_ping(self._handle.client(), name, options, serving, call.error))
        return bool(serving[0])

    def project(
        self,
        tensor: Any,
        *,
        group_size: Optional[int] = None,
        partial_group: AnyPartialGroup = PartialGroup.PADDED,
        encoding: AnyEncoding = Encoding.DENSE,
        report: AnyReportDetail = ReportDetail.FULL,
        layer: Optional[Layer] = None,
        attempt: int = 0,
        replica: int = 0,
        shard: Optional[Shard] = None,
        durability: AnyDurability = Durability.DURABLE,
        out: Optional[Array] = None,
        timeout: Optional[float] = None,
        progress: Optional[Progress] = None,
    ) -> Projection:
        """Ternarizes a tensor.

        In each group of weights s = mean|w| and t = clip(round_half_even(w / s), -1, 1).

        Args:
            tensor: f32, f16 or bf16 [..., columns], rank 1 to 8, of NumPy, torch or mlx.
            group_size: Weights of a row that share a scale. None for 128, or for the whole
                tensor with I2_S and HF_BITNET, which have one scale.
            partial_group: What the scale of a row's short last group divides by.
            encoding: How the result lies in memory.
            report: How much of a report to make.
            layer: (run, layer, step), where the report is stored; None to store nothing.
            attempt: Attempt of the run, from 1; 0 for the newest. The newest + 1 starts the
                next, which may begin at any step.
            replica: Which copy of the layer this is; 0 is the reference.
            shard: Where `tensor` lies in its layer; None: it is the whole layer.
            durability: Whether the call waits for the report, and fails with it.
            out: A writable contiguous NumPy array, which receives the data of the result. It
                has as many bytes as they, or more if the encoding is packed, and does not
                overlap the tensor. For a dense result it is of the tensor's dtype or of
                integers. See `buffer`.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.
            progress: A function that is called with the bytes sent since its last call, or a
                tqdm bar.

        Returns:
            The encoded weights, their scales and the report; arrays of the library and on the
            device of `tensor`.

        Raises:
            InvalidArgument: `tensor` has a NaN or infinity (the message has count and index),
                or the encoding cannot hold its shape, its groups or its scales.
            AlreadyExists: Another report is stored under that run, layer and step.
            FailedPrecondition: `attempt` is older than the run's newest.

        Example:
            >>> projection = client.project(weights, encoding="pq2_0", layer=("packed", "fc", 20))
            >>> projection.data.shape, projection.data.dtype.name, projection.group_size
            ((256, 68), 'uint8', 128)
        """
        view = view_elements(tensor, "tensor")
        kind = member(Encoding, encoding, "options.encoding")
        call = Call(timeout, progress)
        options = new(
            "struct trit_project_options *",
            {
                "group_size": c_group_size(group_size, kind),
                "encoding": kind,
                "partial_group": member(PartialGroup, partial_group, "options.partial_group"),
                "report": member(ReportDetail, report, "options.report"),
            },
        )
        names = fill_filing(options, layer, attempt, replica, shard, durability)
        call.fill(options.call)
        data: Any = None
        if kind == Encoding.DENSE:
            data = dense_result(view, out)
        elif out is not None:
            data = writable(out, view)
        if data is not None:
            options.out, options.out_bytes = address_of(data), data.nbytes
        result = new("struct trit_projection *")
        borrowed = c_tensor(view, view.shape, view.element, "tensor")
        call.check(lib.trit_project(self._handle.client(), borrowed, options, result, call.error))
        del names
        if kind == Encoding.DENSE and out is None:
            data = view.wrap(data, view.dtype)
        elif kind != Encoding.DENSE and out is not None:
            data = packed_in(out, result, kind, view.shape)
        return projection_of(result, view, view.shape, options.group_size, options, data)

    def buffer(self, nbytes: int) -> Buffer:
        """Memory for tensors and results that needs no copy on its way to the daemon.

        Over a Unix socket the daemon maps it too, so a call whose tensor lies in it sends only
        where it lies. Over TCP it is ordinary memory.

        Args:
            nbytes: Its size, at least 1. The daemon's limits `--memory-buffers-max` and
                `--memory-buffer-bytes-max` are no error: beyond them it is ordinary memory.

        Returns:
            The memory, all zero.

        Raises:
            ResourceExhausted: There is no memory.

        Example:
            >>> buffer = client.buffer(weights.nbytes)
            >>> latents = buffer.array(weights.shape, weights.dtype)
            >>> latents[:] = weights
            >>> client.verify(latents, mode="latent").verdict
            'pass'
        """
        return Buffer(self._handle, nbytes)

    def project_batch(
        self,
        tensors: Sequence[Any],
        *,
        group_size: Optional[int] = None,
        timeout: Optional[float] = None,
    ) -> List[Any]:
        """Ternarizes several tensors by one call, dense and without reports.

        The bits are those of `project`, which takes a round trip for each tensor. Tensors of
        another dtype than the first go by a call of their own. The client keeps the memory of
        the last results, at most 256 MiB, for the next ones.

        Args:
            tensors: f32, f16 or bf16 [..., columns] each, of NumPy, torch or mlx.
            group_size: Weights of a row that share a scale; None for 128.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Returns:
            The ternary weights in the order of `tensors`: arrays of the library, dtype, shape
            and device of each.

        Raises:
            InvalidArgument: A tensor has a NaN or infinity.

        Example:
            >>> first, second = client.project_batch([weights, weights[:3, :200]])
            >>> bool((first == client.project(weights).data).all()), second.shape
            (True, (3, 200))
        """
        return project_batch(self._handle, tensors, group_size, timeout)

    def verify(
        self,
        tensor: Any,
        *,
        mode: AnyVerifyMode = VerifyMode.TERNARY,
        group_size: Optional[int] = None,
        partial_group: Optional[AnyPartialGroup] = None,
        tolerance: Optional[float] = None,
        reference: Any = None,
        encoding: Optional[AnyEncoding] = None,
        scales: Any = None,
        shape: Optional[Sequence[int]] = None,
        layer: Optional[Layer] = None,
        attempt: int = 0,
        replica: int = 0,
        shard: Optional[Shard] = None,
        durability: AnyDurability = Durability.DURABLE,
        timeout: Optional[float] = None,
        progress: Optional[Progress] = None,
    ) -> Report:
        """Measures whether a tensor is ternary. One that is not raises nothing.

        With a Projection, `encoding`, `group_size`, `partial_group`, `scales` and `shape` are
        its own; others are refused.

        Args:
            tensor: f32, f16 or bf16 [..., columns]; or a Projection; or packed bytes, with
                `encoding`, `shape` and, where the encoding has them, `scales`.
            mode: TERNARY: the tensor claims to be ternary. LATENT: project it, then verify
                the projection.
            group_size: Weights of a row that share a scale; None for 128, or for the whole
                tensor where the encoding has one scale.
            partial_group: What the scale of a row's short last group divides by; None for
                PADDED.
            tolerance: The largest |w/s - t| of a ternary weight; None for 1e-5. With 0 all
                magnitudes of a group must be bit-equal.
            reference: The latents, of the same shape, f32, f16 or bf16: the report counts
                the elements that differ from their projection.
            encoding: How the weights lie in memory; None for DENSE.
            scales: f32, f16 or bf16, of packed bytes whose encoding keeps scales in an array
                of their own. The reference's scales are compared after rounding to that type.
            shape: Shape of the dense tensor, for packed bytes.
            layer: (run, layer, step), where the report is stored; None to store nothing.
            attempt: Attempt of the run, from 1; 0 for the newest. The newest + 1 starts the
                next, which may begin at any step.
            replica: Which copy of the layer this is; 0 is the reference.
            shard: Where `tensor` lies in its layer; None: it is the whole layer.
            durability: Whether the call waits for the report, and fails with it.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.
            progress: A function that is called with the bytes sent since its last call, or a
                tqdm bar.

        Returns:
            The report; see `is_ternary`, `verdict` and `findings`.

        Raises:
            InvalidArgument: The arguments do not fit each other, or contradict the Projection.
            AlreadyExists: Another report is stored under that run, layer and step.
            FailedPrecondition: `attempt` is older than the run's newest.

        Example:
            >>> projection = client.project(weights, encoding="int8")
            >>> report = client.verify(projection, reference=weights)
            >>> report.verdict, report.reference_mismatches
            ('pass', 0)
        """
        packed = Packed(tensor, encoding, scales, shape, group_size, partial_group)
        call = Call(timeout, progress)
        options = new(
            "struct trit_verify_options *",
            {
                "mode": member(VerifyMode, mode, "options.mode"),
                "partial_group": packed.partial_group,
                "has_tolerance": tolerance is not None,
                "tolerance": real(tolerance, "tolerance"),
            },
        )
        packed.fill(options)
        borrowed = fill_filing(options, layer, attempt, replica, shard, durability)
        call.fill(options.call)
        if reference is not None:
            view = view_elements(reference, "reference")
            latents = c_tensor(view, view.shape, view.element, "reference")
            options.reference = latents
            borrowed += [view, latents]
        report = new("struct trit_report *")
        call.check(
            lib.trit_verify(self._handle.client(), packed.tensor, options, report, call.error)
        )
        del borrowed
        return report_of(report)

    def pack(
        self,
        tensor: Any,
        *,
        encoding: AnyEncoding,
        source_encoding: Optional[AnyEncoding] = None,
        scales: Any = None,
        shape: Optional[Sequence[int]] = None,
        group_size: Optional[int] = None,
        allow_rounded_scales: bool = False,
        report: AnyReportDetail = ReportDetail.FULL,
        layer: Optional[Layer] = None,
        attempt: int = 0,
        replica: int = 0,
        shard: Optional[Shard] = None,
        durability: AnyDurability = Durability.DURABLE,
        timeout: Optional[float] = None,
        progress: Optional[Progress] = None,
    ) -> Projection:
        """Encodes weights that are ternary already; all trits and scales stay as they are.

        With a Projection, `source_encoding`, `scales` and `shape` are its own.

        Args:
            tensor: f32, f16 or bf16 [..., columns]; or a Projection; or packed bytes, with
                `source_encoding`, `shape` and, where the encoding has them, `scales`.
            encoding: How the result lies in memory; not DENSE, which `unpack` makes.
            source_encoding: How `tensor` lies in memory; None for DENSE.
            scales: f32, f16 or bf16, of packed bytes whose encoding keeps scales in an array
                of their own.
            shape: Shape of the dense tensor, for packed bytes.
            group_size: Weights of a row that share a scale, in the result and in a source
                with an array of scales; None for those of a Projection, else as in `project`.
            allow_rounded_scales: Round a scale that the result's type does not hold; the
                report has the finding scale_rounded. False refuses it.
            report: How much of a report of the source to make.
            layer: (run, layer, step), where the report is stored; None to store nothing.
            attempt: Attempt of the run, from 1; 0 for the newest. The newest + 1 starts the
                next, which may begin at any step.
            replica: Which copy of the layer this is; 0 is the reference.
            shard: Where `tensor` lies in its layer; None: it is the whole layer.
            durability: Whether the call waits for the report, and fails with it.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.
            progress: A function that is called with the bytes sent since its last call, or a
                tqdm bar.

        Returns:
            The encoded weights, their scales and the report.

        Raises:
            InvalidArgument: A group is not exactly ternary, or the encoding does not hold its
                scale; the message names the first such group.
            AlreadyExists: Another report is stored under that run, layer and step.
            FailedPrecondition: `attempt` is older than the run's newest.

        Example:
            >>> dense = client.project(weights).data
            >>> packed = client.pack(dense, encoding="int8")
            >>> bool((client.unpack(packed) == dense).all())
            True
        """
        kind = member(Encoding, encoding, "options.encoding")
        source = PackSource(tensor, source_encoding, scales, shape, group_size, kind)
        call = Call(timeout, progress)
        options = new(
            "struct trit_pack_options *",
            {
                "allow_rounded_scales": flag(allow_rounded_scales, "options.allow_rounded_scales"),
                "report": member(ReportDetail, report, "options.report"),
            },
        )
        source.fill_pack(options)
        names = fill_filing(options, layer, attempt, replica, shard, durability)
        call.fill(options.call)
        result = new("struct trit_projection *")
        call.check(
            lib.trit_pack(self._handle.client(), source.tensor, options, result, call.error)
        )
        del names
        return projection_of(
            result,
            source.view,
            source.shape,
            source.held_group_size,
            options,
            partial_group=source.partial_group,
        )

    def unpack(
        self,
        packed: Any,
        *,
        encoding: Optional[AnyEncoding] = None,
        scales: Any = None,
        shape: Optional[Sequence[int]] = None,
        group_size: Optional[int] = None,
        dtype: Union[DType, FloatName] = DType.F32,
        timeout: Optional[float] = None,
        progress: Optional[Progress] = None,
    ) -> Any:
        """Turns encoded weights into t*s.

        Args:
            packed: A Projection, which brings all of the following; or encoded weights.
            encoding: How they lie in memory; None for DENSE.
            scales: f32, f16 or bf16, where the encoding keeps scales in an array of their own.
            shape: Shape of the dense tensor.
            group_size: Weights of a row that share a scale; None for 128, or for the whole
                tensor where the encoding has one scale.
            dtype: Of the result: F32, F16 or BF16.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.
            progress: A function that is called with the bytes sent since its last call, or a
                tqdm bar.

        Returns:
            An array of `dtype` and of the dense tensor's shape.

        Raises:
            InvalidArgument: The arguments do not fit each other or contradict the Projection,
                a code is invalid, a scale is NaN or infinite, or `dtype` cannot hold it.

        Example:
            >>> projection = client.project(weights, encoding="int8")
            >>> dense = client.unpack(projection)
            >>> dense.shape, bool((dense == client.project(weights).data).all())
            ((256, 256), True)
        """
        source = Packed(packed, encoding, scales, shape, group_size)
        kind = member(DType, dtype, "dtype")
        call = Call(timeout, progress)
        options = new("struct trit_unpack_options *", {"dtype": kind})
        source.fill(options)
        call.fill(options.call)
        data, count = ffi.new("void **"), ffi.new("uint64_t *")
        call.check(
            lib.trit_unpack(self._handle.client(), source.tensor, options, data, count, call.error)
        )
        dense = take(data[0], count[0]).view(STORAGE[kind]).reshape(source.shape)
        return source.view.wrap(dense, kind)

    def backward(
        self,
        grad_ternary: Any,
        *,
        timeout: Optional[float] = None,
        progress: Optional[Progress] = None,
    ) -> Any:
        """The gradient with respect to the latents, by the straight-through estimator.

        Args:
            grad_ternary: The gradient with respect to the ternary weights: f32, f16 or bf16,
                rank 1 to 8.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.
            progress: A function that is called with the bytes sent since its last call, or a
                tqdm bar.

        Returns:
            An array of the same shape, dtype and values.

        Raises:
            InvalidArgument: `grad_ternary` has another dtype or rank.

        Example:
            >>> grad = client.backward(weights)
            >>> bool((grad == weights).all())
            True
        """
        view = view_elements(grad_ternary, "grad_ternary")
        call = Call(timeout, progress)
        options = new("struct trit_call_options *")
        call.fill(options)
        grad = np.empty(view.shape, STORAGE[view.element])
        borrowed = c_tensor(view, view.shape, view.element, "grad_ternary")
        call.check(
            lib.trit_backward(
                self._handle.client(), borrowed, options, address_of(grad), call.error
            )
        )
        return view.wrap(grad, view.dtype)


def _make(kind: Type[Client], options: Dict[str, Any]) -> Client:
    return kind(**options)
