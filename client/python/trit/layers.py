# SPDX-License-Identifier: Apache-2.0
"""Layers that the daemon holds: created or loaded, multiplied by, verified, by name."""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, List, Optional, Tuple, TypeVar, Union, cast

import numpy as np

from ._arguments import c_text, flag, member, real, unsigned
from ._arrays import Array, View, copied, view_integers, view_of, wrap_numpy
from ._call import Call, Progress
from ._handle import Handle
from ._held import (
    ForwardResult,
    Gradients,
    HeldLayer,
    LayerSpec,
    array_of,
    borrow,
    c_spec,
    encoded_weight,
    spec_of,
)
from ._native import ffi, lib, new
from ._results import writable_elements
from ._tensors import address_of, shaped_scales, take
from ._visit import Visit, on_layer_spec, on_report
from .errors import AlreadyExists, InvalidArgument, NotFound
from .reports import Report, report_of
from .types import (
    GROUP_SIZE,
    Activations,
    AnyActivations,
    AnyEncoding,
    AnyLayerKind,
    AnyLayerPart,
    DType,
    Encoding,
    FloatName,
    LayerKind,
    LayerPart,
)

__all__ = ["ForwardResult", "Gradients", "HeldLayer", "LayerSpec", "Layers"]


_Method = TypeVar("_Method", bound=Callable[..., Any])


def _reloading(method: _Method) -> _Method:
    """A method that loads a layer again which the daemon has forgotten, if `load` said so."""

    @functools.wraps(method)
    def reloading(self: Layers, name: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, name, *args, **kwargs)
        except NotFound:
            again = self._kept.get(name)
            if again is None:
                raise
        try:
            again()
        except AlreadyExists:  # another thread was faster
            pass
        return method(self, name, *args, **kwargs)

    return cast(_Method, reloading)


class Layers:
    """`client.layers`: the layers of a daemon. With a data directory they survive a restart.

    Arrays are of NumPy, torch or mlx; results are of the library of the input. Besides what
    each method lists, all raise NotFound for an unknown name and FailedPrecondition for a
    layer of the other kind.

    Example:
        >>> spec = client.layers.load("fc", weights)
        >>> client.layers.forward("fc", weights).shape
        (256, 256)
        >>> client.layers.delete("fc")
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._kept: Dict[str, Callable[[], Any]] = {}

    def create(
        self,
        name: str,
        in_features: int,
        out_features: int,
        *,
        kind: AnyLayerKind = LayerKind.LINEAR,
        bias: bool = False,
        seed: int = 0,
        group_size: int = GROUP_SIZE,
        keep_latents: bool = False,
        timeout: Optional[float] = None,
    ) -> LayerSpec:
        """Makes a layer from random latents, drawn from N(0, 1) * in_features^-0.5.

        The bias is zero. The same seed gives the same bits on every machine.

        Args:
            name: Its name, 1 to 255 bytes of UTF-8.
            in_features: Columns of the weights; the length of an embedding's rows.
            out_features: Rows of the weights; the number of an embedding's ids.
            kind: LINEAR or EMBEDDING.
            bias: Whether it has a bias; linear layers only.
            seed: 0 to 2^64 - 1.
            group_size: Weights of a row that share a scale; a multiple of 16.
            keep_latents: Whether the daemon keeps the latents on its disk.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Returns:
            The layer's spec.

        Raises:
            AlreadyExists: The name is taken.
            InvalidArgument: A size is out of its range, or an embedding has a bias.

        Example:
            >>> client.layers.create("fc", 64, 10, seed=7).out_features
            10
            >>> client.layers.delete("fc")
        """
        call = Call(timeout)
        options, result = (
            new("struct trit_call_options *"),
            new("struct trit_layer_spec *"),
        )
        spec = c_spec(name, kind, in_features, out_features, bias, group_size, keep_latents)
        call.fill(options)
        number = unsigned(seed, 2**64, "seed")
        call.check(
            lib.trit_layer_create(self._handle.client(), spec, number, options, result, call.error)
        )
        return spec_of(result)

    def load(
        self,
        name: str,
        weight: Any,
        bias: Any = None,
        *,
        kind: AnyLayerKind = LayerKind.LINEAR,
        group_size: int = GROUP_SIZE,
        keep_latents: bool = False,
        reload: bool = False,
        timeout: Optional[float] = None,
        progress: Optional[Progress] = None,
    ) -> LayerSpec:
        """Makes a layer from latents, projected as by `Client.project`.

        Args:
            name: Its name, 1 to 255 bytes of UTF-8.
            weight: The latents: f32, f16 or bf16 [out_features, in_features].
            bias: f32, f16 or bf16 [out_features], linear layers only; None for none.
            kind: LINEAR or EMBEDDING.
            group_size: Weights of a row that share a scale; a multiple of 16.
            keep_latents: Whether the daemon keeps the latents on its disk.
            reload: Whether this client keeps a copy of the arrays, and loads the layer again
                when a call finds that the daemon has forgotten it, as one without a data
                directory does when it restarts.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.
            progress: A function that is called with the bytes sent since its last call, or a
                tqdm bar.

        Returns:
            The layer's spec.

        Raises:
            AlreadyExists: The name is taken.
            InvalidArgument: `weight` has a NaN or infinity, or a shape does not fit.

        Example:
            >>> spec = client.layers.load("fc", weights, np.zeros(256, np.float32))
            >>> spec.bias
            True
            >>> client.layers.delete("fc")
        """
        view, borrowed = borrow(weight, "weight")
        if len(view.shape) != 2:
            raise InvalidArgument(f"weight.shape: rank {len(view.shape)} is not 2", "weight.shape")
        bias_view, borrowed_bias = (None, ffi.NULL) if bias is None else borrow(bias, "bias")
        call = Call(timeout, progress)
        options, result = (
            new("struct trit_call_options *"),
            new("struct trit_layer_spec *"),
        )
        rows, columns = view.shape
        keeps = flag(reload, "reload")
        spec = c_spec(name, kind, columns, rows, bias is not None, group_size, keep_latents)
        call.fill(options)
        call.check(
            lib.trit_layer_load(
                self._handle.client(), spec, borrowed, borrowed_bias, options, result, call.error
            )
        )
        self._kept.pop(name, None)
        if keeps:
            bias_copy = None if bias_view is None else copied(bias_view)
            self._kept[name] = functools.partial(
                self.load,
                name,
                copied(view),
                bias_copy,
                kind=kind,
                group_size=group_size,
                keep_latents=keep_latents,
                reload=True,
            )
        del view, bias_view
        return spec_of(result)

    @_reloading
    def forward(
        self,
        name: str,
        x: Any,
        *,
        activations: AnyActivations = Activations.F32,
        out: Optional[Array] = None,
        timeout: Optional[float] = None,
        progress: Optional[Progress] = None,
    ) -> Any:
        """Computes y = x @ Wt.T + bias of a linear layer, in f32, rounded once.

        Args:
            name: The layer's name.
            x: f32, f16 or bf16 [..., in_features], rank 1 to 8.
            activations: How x enters the product.
            out: A writable contiguous NumPy array, which receives y. It has as many bytes, is of
                x's dtype or of integers, and does not overlap x. With x and `out` in a
                `Client.buffer`, nothing is copied.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.
            progress: A function that is called with the bytes sent since its last call, or a
                tqdm bar.

        Returns:
            y [..., out_features], of x's dtype; `out` where it is given.

        Raises:
            InvalidArgument: x has another dtype or number of columns, or `out` another size.

        Example:
            >>> spec = client.layers.create("fc", 256, 10)
            >>> client.layers.forward("fc", weights).shape
            (256, 10)
            >>> client.layers.delete("fc")
        """
        call = Call(timeout, progress)
        view, result = self._forward(name, x, activations, False, call, out)
        return array_of(result.y, view.wrap) if out is None else out

    @_reloading
    def forward_with_error(
        self,
        name: str,
        x: Any,
        *,
        activations: AnyActivations = Activations.INT8,
        timeout: Optional[float] = None,
        progress: Optional[Progress] = None,
    ) -> ForwardResult:
        """Computes `forward`, and how far its y is from y with f32 activations.

        Args:
            name: The layer's name.
            x: f32, f16 or bf16 [..., in_features], rank 1 to 8.
            activations: How x enters the product.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.
            progress: A function that is called with the bytes sent since its last call, or a
                tqdm bar.

        Returns:
            y and its errors.

        Raises:
            InvalidArgument: x has another dtype or number of columns.

        Example:
            >>> spec = client.layers.create("fc", 256, 10)
            >>> result = client.layers.forward_with_error("fc", weights)
            >>> result.relative_error < 0.05
            True
            >>> client.layers.delete("fc")
        """
        view, result = self._forward(name, x, activations, True, Call(timeout, progress))
        return ForwardResult(
            array_of(result.y, view.wrap), result.max_error, result.relative_error
        )

    def _forward(
        self,
        name: str,
        x: Any,
        activations: AnyActivations,
        report_error: bool,
        call: Call,
        out: Optional[Array] = None,
    ) -> Tuple[View, Any]:
        view, borrowed = borrow(x, "x")
        options = new(
            "struct trit_forward_options *",
            {
                "activations": member(Activations, activations, "activations"),
                "report_error": report_error,
            },
        )
        call.fill(options.call)
        if out is not None:
            options.out = address_of(writable_elements(out, view))
            options.out_bytes = out.nbytes
        result = new("struct trit_forward *")
        layer = c_text(name, "name")
        call.check(
            lib.trit_layer_forward(
                self._handle.client(), layer, borrowed, options, result, call.error
            )
        )
        if out is not None and result.y.bytes != out.nbytes:
            raise InvalidArgument(f"out: {out.nbytes} bytes, but y has {result.y.bytes}", "out")
        return view, result

    @_reloading
    def backward(
        self,
        name: str,
        x: Any,
        grad_output: Any,
        *,
        timeout: Optional[float] = None,
        progress: Optional[Progress] = None,
    ) -> Gradients:
        """Computes the gradients of `forward`, or of an embedding's `as_linear`.

        Args:
            name: The layer's name.
            x: f32, f16 or bf16 [..., in_features].
            grad_output: The gradient with respect to y: f32, f16 or bf16
                [..., out_features], with the other axes of x.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.
            progress: A function that is called with the bytes sent since its last call, or a
                tqdm bar.

        Returns:
            The gradients with respect to x, the latents and the bias.

        Raises:
            InvalidArgument: A dtype or shape does not fit.

        Example:
            >>> spec = client.layers.create("fc", 256, 10)
            >>> y = client.layers.forward("fc", weights)
            >>> gradients = client.layers.backward("fc", weights, y)
            >>> gradients.weight.shape
            (10, 256)
            >>> client.layers.delete("fc")
        """
        view, borrowed = borrow(x, "x")
        grad_view, borrowed_grad = borrow(grad_output, "grad_output")
        call = Call(timeout, progress)
        options, result = new("struct trit_call_options *"), new("struct trit_gradients *")
        call.fill(options)
        layer = c_text(name, "name")
        call.check(
            lib.trit_layer_backward(
                self._handle.client(), layer, borrowed, borrowed_grad, options, result, call.error
            )
        )
        return Gradients(
            array_of(result.input, view.wrap),
            array_of(result.weight, grad_view.wrap),
            array_of(result.bias, grad_view.wrap),
        )

    @_reloading
    def embed(self, name: str, ids: Any, *, timeout: Optional[float] = None) -> Any:
        """Gives rows of an embedding.

        Args:
            name: The layer's name.
            ids: Integers of any shape, below out_features; an array or a list.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Returns:
            f32 [*ids.shape, in_features].

        Raises:
            InvalidArgument: An id is out of range; the message has the id and its index.

        Example:
            >>> spec = client.layers.create("embed", 64, 10, kind="embedding")
            >>> client.layers.embed("embed", [[1, 2, 3]]).shape
            (1, 3, 64)
            >>> client.layers.delete("embed")
        """
        numbers, wrap = view_integers(ids, "ids")
        wrong = np.flatnonzero((numbers < 0) | (numbers >= 2**32))
        if wrong.size:
            raise InvalidArgument(
                f"ids: {numbers.reshape(-1)[wrong[0]]} (at index {wrong[0]}) is out of range",
                "ids",
            )
        flat = np.ascontiguousarray(numbers.reshape(-1), np.uint32)
        call = Call(timeout)
        options, result = new("struct trit_call_options *"), new("struct trit_array *")
        call.fill(options)
        layer, borrowed = c_text(name, "name"), ffi.from_buffer("uint32_t[]", flat)
        call.check(
            lib.trit_layer_embed(
                self._handle.client(), layer, borrowed, flat.size, options, result, call.error
            )
        )
        return array_of(
            result,
            lambda rows, dtype: wrap(rows.reshape(*numbers.shape, rows.shape[-1]), dtype),
        )

    @_reloading
    def as_linear(
        self,
        name: str,
        x: Any,
        *,
        timeout: Optional[float] = None,
        progress: Optional[Progress] = None,
    ) -> Any:
        """Computes x @ Wt.T of an embedding: the output layer that shares its weights.

        Args:
            name: The layer's name.
            x: f32, f16 or bf16 [..., in_features], rank 1 to 8.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.
            progress: A function that is called with the bytes sent since its last call, or a
                tqdm bar.

        Returns:
            Logits [..., out_features], of x's dtype.

        Raises:
            InvalidArgument: x has another dtype or number of columns.

        Example:
            >>> spec = client.layers.create("embed", 256, 10, kind="embedding")
            >>> client.layers.as_linear("embed", weights).shape
            (256, 10)
            >>> client.layers.delete("embed")
        """
        view, borrowed = borrow(x, "x")
        call = Call(timeout, progress)
        options, result = new("struct trit_call_options *"), new("struct trit_array *")
        call.fill(options)
        layer = c_text(name, "name")
        call.check(
            lib.trit_layer_as_linear(
                self._handle.client(), layer, borrowed, options, result, call.error
            )
        )
        return array_of(result, view.wrap)

    @_reloading
    def get(
        self,
        name: str,
        part: AnyLayerPart = LayerPart.TERNARY,
        *,
        encoding: AnyEncoding = Encoding.DENSE,
        dtype: Union[DType, FloatName] = DType.F32,
        like: Any = None,
        timeout: Optional[float] = None,
    ) -> HeldLayer:
        """Gives a layer's spec with its ternary weights, with its latents, or alone.

        Args:
            name: The layer's name.
            part: TERNARY, LATENTS or SPEC.
            encoding: How the ternary weights are to lie in memory.
            dtype: Of dense weights: F32, F16 or BF16.
            like: An array; the results are of its library and on its device. None for NumPy.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Returns:
            The layer.

        Raises:
            FailedPrecondition: The daemon does not have the latents.
            InvalidArgument: The encoding or the dtype cannot hold the weights.

        Example:
            >>> spec = client.layers.create("fc", 256, 10, seed=7)
            >>> client.layers.get("fc", "latents").weight.shape
            (10, 256)
            >>> client.layers.delete("fc")
        """
        wrap = wrap_numpy if like is None else view_of(like, "like").wrap
        call = Call(timeout)
        options = new(
            "struct trit_layer_get_options *",
            {
                "part": member(LayerPart, part, "part"),
                "encoding": member(Encoding, encoding, "encoding"),
                "dtype": member(DType, dtype, "dtype"),
            },
        )
        call.fill(options.call)
        result = new("struct trit_layer *")
        layer = c_text(name, "name")
        call.check(lib.trit_layer_get(self._handle.client(), layer, options, result, call.error))
        kind, scales = Encoding(result.encoding), None
        if result.scales != ffi.NULL:
            raw = take(result.scales, result.scale_bytes)
            shape = (result.spec.out_features, result.spec.in_features)
            scales = wrap(shaped_scales(raw, kind, shape), None)
        return HeldLayer(
            spec_of(result.spec),
            encoded_weight(result, wrap),
            scales,
            array_of(result.bias, wrap),
            kind,
            result.seed if result.has_seed else None,
        )

    def list(self, prefix: str = "", *, timeout: Optional[float] = None) -> List[LayerSpec]:
        """Lists layers.

        Args:
            prefix: What their names begin with; "" for all.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Returns:
            Their specs in the order of their names.

        Raises:
            InvalidArgument: The prefix is too long.

        Example:
            >>> spec = client.layers.create("list/fc", 64, 10)
            >>> [spec.name for spec in client.layers.list("list/")]
            ['list/fc']
            >>> client.layers.delete("list/fc")
        """
        call = Call(timeout)
        options = new("struct trit_call_options *")
        call.fill(options)
        visit = Visit(spec_of)
        start = c_text(prefix, "prefix")
        call.check(
            lib.trit_layer_list(
                self._handle.client(),
                start,
                options,
                new("struct trit_layer_spec *"),
                on_layer_spec,
                visit.handle,
                call.error,
            )
        )
        return visit.all()

    def delete(self, name: str, *, timeout: Optional[float] = None) -> None:
        """Removes a layer. Running calls that use it are not disturbed.

        Args:
            name: The layer's name.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Raises:
            NotFound: There is no such layer.

        Example:
            >>> spec = client.layers.create("fc", 64, 10)
            >>> client.layers.delete("fc")
        """
        call = Call(timeout)
        options = new("struct trit_call_options *")
        call.fill(options)
        layer = c_text(name, "name")
        self._kept.pop(name, None)
        call.check(lib.trit_layer_delete(self._handle.client(), layer, options, call.error))

    def verify(
        self,
        prefix: str = "",
        *,
        tolerance: Optional[float] = None,
        timeout: Optional[float] = None,
    ) -> Dict[str, Report]:
        """Verifies the ternary weights of layers.

        Args:
            prefix: What their names begin with; "" for all.
            tolerance: The largest |w/s - t| of a ternary weight; None for 1e-5. With 0 all
                magnitudes of a group must be bit-equal.
            timeout: Seconds for the call; None for the client's, math.inf for no limit.

        Returns:
            A report for each layer, by its name.

        Raises:
            InvalidArgument: The tolerance is negative or NaN.

        Example:
            >>> spec = client.layers.create("verify/fc", 64, 10)
            >>> client.layers.verify("verify/")["verify/fc"].is_ternary
            True
            >>> client.layers.delete("verify/fc")
        """
        call = Call(timeout)
        start = c_text(prefix, "prefix")
        options = new(
            "struct trit_layer_verify_options *",
            {
                "prefix": start,
                "has_tolerance": tolerance is not None,
                "tolerance": real(tolerance, "tolerance"),
            },
        )
        call.fill(options.call)
        visit = Visit(report_of)
        report = new("struct trit_report *")
        call.check(
            lib.trit_layer_verify(
                self._handle.client(), options, report, on_report, visit.handle, call.error
            )
        )
        return {report.layer: report for report in visit.all()}
