"""Whole checkpoints: `client.checkpoint`.

A checkpoint is a safetensors file or a state dict (arrays of any family by name). Its
tensors of rank 2 are the layers; what is no layer passes through as it is. A file is
mapped, not read: one layer at a time goes through the daemon, and memory does not grow
with the file. Reading files needs the package safetensors.
"""
from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping, NamedTuple, Optional, Tuple, Union

import numpy as np

from ._arrays import View
from ._call import Progress, unsigned
from ._record import (KEY, LATENT, Forms, Record, Selection, dense_of, encoded, matrix, note,
                      read_record, scales_name)
from ._safetensors import (Arrays, File, PathLike, Target, Tensor, as_is, open_source, raw)
from ._selection import Patterns
from .errors import Cancelled, Error, Internal, InvalidArgument, NotFound
from .reports import Report
from .types import ONE_SCALE, Encoding, PartialGroup, VerifyMode, group_size_of, member

if TYPE_CHECKING:
    from .client import Client

__all__ = ["Checkpoint", "Contents", "Projected", "Verified"]

Source = Union[PathLike, Mapping[str, Any]]

COPY_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Projected:
    """`reports` by layer; `tensors` is the state dict that came out where no file was
    asked for: layers in their encoding (with `NAME.scales` behind them where they have
    some; HF_BITNET: `NAME_scale`), the rest as it was."""

    reports: Dict[str, Report]
    tensors: Optional[Dict[str, Any]] = None


@dataclasses.dataclass(frozen=True)
class Verified:
    """`reports` by layer. `missing`: layers that the file should have and has not, or
    that the latents have not in that shape."""

    reports: Dict[str, Report]
    missing: Tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        """All are there, ternary, finite and the projection of their latents."""
        return not self.missing and all(
            one.is_ternary and not one.non_finite and not one.reference_mismatches
            for one in self.reports.values())


@dataclasses.dataclass(frozen=True)
class Contents:
    """What is in a checkpoint: tensors by name, those of them that are layers, the
    file's metadata, and the encoding it was projected to (None: it was not)."""

    tensors: Dict[str, Tensor]
    layers: Tuple[str, ...]
    metadata: Dict[str, str]
    encoding: Optional[Encoding]


# ---- what all do for each tensor --------------------------------------------------------

class _Steps:
    """Progress over a whole checkpoint, each tensor counted once and in full."""

    def __init__(self, progress: Optional[Progress], total: int, cancelled: Any) -> None:
        self._update: Any = getattr(progress, "update", progress)
        if self._update is not progress:
            setattr(progress, "total", total)
        self._cancelled = cancelled
        self._left = 0

    @contextmanager
    def tensor(self, tensor: Tensor) -> Iterator[None]:
        """Errors name the tensor."""
        self._check()
        self._left = tensor.nbytes
        try:
            yield
        except Error as error:
            if error.message.startswith(tensor.name):
                raise
            raise type(error)(f"{tensor.name}: {error.message}", error.field) from error
        self(self._left)

    def __call__(self, count: int) -> None:
        self._check()
        counted = min(count, self._left)
        self._left -= counted
        if self._update is not None and counted:
            self._update(counted)

    def _check(self) -> None:
        if self._cancelled is not None and self._cancelled.is_set():
            raise Cancelled("the call was cancelled")


class _Run(NamedTuple):
    """Where reports are filed."""

    run: str
    step: int

    def ref(self, name: str) -> Optional[Tuple[str, str, int]]:
        return (self.run, name, self.step) if self.run else None


def _filed(run: str, step: Optional[int]) -> _Run:
    if step is not None and not run:
        raise InvalidArgument("step: needs a run", "step")
    return _Run(run, step or 0)


# ---- project ------------------------------------------------------------------------------

class _Plan:
    """What each tensor becomes."""

    def __init__(self, source: Union[File, Arrays], selection: Selection,
                 record: Record) -> None:
        self.layers: Dict[str, Forms] = {
            tensor.name: encoded(tensor, record.encoding, record.group_size)
            for tensor in source.tensors.values() if selection.is_layer(tensor)}
        if not self.layers:
            raise InvalidArgument("no tensor of it is a layer (rank 2, f32, f16 or bf16, "
                                  "selected by name)", "path")
        for forms in self.layers.values():
            if forms.scales is not None and forms.scales.name in source.tensors:
                raise InvalidArgument(f"the scales of {forms.data.name} would be called "
                                      f"{forms.scales.name}, which is there already", "path")
        self.forms = [form for tensor in source.tensors.values()
                      for form in self.layers.get(tensor.name, (tensor,)) if form is not None]
        layers = {name: note(source.tensors[name]) for name in self.layers}
        self.metadata = {**{key: value for key, value in source.metadata.items() if key != KEY},
                         KEY: record._replace(layers=layers).text()}


def _copy(to: np.ndarray, tensor: np.ndarray, steps: _Steps) -> None:
    for at in range(0, len(tensor), COPY_BYTES):
        piece = tensor[at:at + COPY_BYTES]
        to[at:at + COPY_BYTES] = piece
        steps(len(piece))


def _put(target: Target, form: Tensor, array: Any) -> None:
    """The daemon's answer must have the size that the file's header promised."""
    if array is None or array.nbytes != form.nbytes:
        raise Internal(f"{form.name}: the daemon did not send {form.nbytes} bytes")
    target.room(form.name)[:] = array.reshape(-1).view(np.uint8)


class Checkpoint:
    """Calls over whole checkpoints. All take

    include, exclude   shell patterns of layer names
    convolutions       tensors of rank 3 and 4 are layers too, as [out, in*kernel]
    progress           told bytes of the checkpoint as they are done, like
                       tqdm.update; or a tqdm bar
    timeout            seconds for each layer's call
    """

    def __init__(self, client: "Client") -> None:
        self._client = client

    def project(self, source: Source, out: Optional[PathLike] = None, *,
                encoding: Union[Encoding, str] = Encoding.DENSE,
                group_size: Optional[int] = None,
                partial_group: Union[PartialGroup, str] = PartialGroup.PADDED,
                include: Patterns = None, exclude: Patterns = None, convolutions: bool = False,
                run: str = "", step: Optional[int] = None, progress: Optional[Progress] = None,
                timeout: Optional[float] = None, _cancelled: Any = None) -> Projected:
        """Ternarizes the layers of a checkpoint.

        out  a safetensors file, byte for byte what `trit project` writes. It takes its
             name when it is complete; may be the source. Without: a state dict is given
             back, as arrays of the kinds that went in.
        group_size  None: 128, or the whole tensor where the encoding has one scale
        run  the reports are filed under it, at `step`
        """
        kind = member(Encoding, encoding, "encoding")
        record = Record(kind, unsigned(group_size_of(group_size, kind), 2**32, "group_size"),
                        member(PartialGroup, partial_group, "partial_group"))
        filed = _filed(run, step)
        with _opened(source) as found:
            plan = _Plan(found, Selection(include, exclude, convolutions), record)
            steps = _Steps(progress, sum(one.nbytes for one in found.tensors.values()), _cancelled)
            options = dict(encoding=record.encoding, group_size=record.group_size,
                           partial_group=record.partial_group, timeout=timeout,
                           _cancelled=_cancelled)
            if out is not None:
                return self._to_file(found, plan, out, filed, steps, options)
            if isinstance(source, Mapping):
                return self._to_arrays(found, source, plan, filed, steps, options)
        raise InvalidArgument("out: a file's projection needs a file to go to", "out")

    def _to_file(self, source: Union[File, Arrays], plan: _Plan, out: PathLike, filed: _Run,
                 steps: _Steps, options: Dict[str, Any]) -> Projected:
        reports = {}
        with Target(out, plan.forms, plan.metadata) as target:
            for name, tensor in source.tensors.items():
                forms = plan.layers.get(name)
                with steps.tensor(tensor):
                    if forms is None:
                        _copy(target.room(name), raw(source.lend(name)), steps)
                    else:
                        seen = source.lend(name)._replace(shape=matrix(tensor.shape), give=as_is)
                        reports[name] = self._fill(target, forms, seen, layer=filed.ref(name),
                                                   progress=steps, **options)
                        del seen
                source.release(name)
                for form in forms or (tensor,):
                    if form is not None:
                        target.release(form.name)
            source.check_unchanged()
            target.commit()
        return Projected(reports)

    def _fill(self, target: Target, forms: Forms, seen: View, **options: Any) -> Report:
        """A layer's projection, where it will lie."""
        dense = options["encoding"] == Encoding.DENSE
        made = self._client.project(seen, out=target.room(forms.data.name) if dense else None,
                                    **options)
        if not dense:
            _put(target, forms.data, made.data)
        if forms.scales is not None:
            _put(target, forms.scales, made.scales)
        return _named(made.report, forms.data.name)

    def _to_arrays(self, source: Union[File, Arrays], arrays: Mapping[str, Any], plan: _Plan,
                   filed: _Run, steps: _Steps, options: Dict[str, Any]) -> Projected:
        reports, tensors = {}, {}
        for name, tensor in source.tensors.items():
            with steps.tensor(tensor):
                if name not in plan.layers:
                    tensors[name] = arrays[name]
                    continue
                data, scales = plan.layers[name]
                made = self._client.project(
                    source.lend(name)._replace(shape=matrix(tensor.shape)),
                    layer=filed.ref(name), progress=steps, **options)
                tensors[name] = made.data.reshape(data.shape)
                if scales is not None:
                    tensors[scales.name] = made.scales
                reports[name] = _named(made.report, name)
        return Projected(reports, tensors)

    # ---- verify ---------------------------------------------------------------------------

    def verify(self, source: Source, *, against: Optional[Source] = None,
               mode: Union[VerifyMode, str] = VerifyMode.TERNARY,
               encoding: Union[None, Encoding, str] = None, group_size: Optional[int] = None,
               partial_group: Union[None, PartialGroup, str] = None,
               tolerance: Optional[float] = None,
               include: Patterns = None, exclude: Patterns = None, convolutions: bool = False,
               run: str = "", step: Optional[int] = None, progress: Optional[Progress] = None,
               timeout: Optional[float] = None, _cancelled: Any = None) -> Verified:
        """Whether every layer is ternary. A file that was written by a projection says
        itself which tensors are layers and how they are encoded; `encoding`,
        `group_size` and `partial_group` override it, and decide for others.

        against  the checkpoint of latents that this one should be the projection of
        """
        kind = member(VerifyMode, mode, "mode")
        filed = _filed(run, step)
        with _opened(source) as found, _opened({} if against is None else against) as latents:
            record = read_record(found.metadata) if kind == VerifyMode.TERNARY else Record()
            stored = record.encoding if encoding is None else member(Encoding, encoding, "encoding")
            told = 0 if stored in ONE_SCALE else record.group_size
            record = record._replace(
                encoding=stored,
                group_size=unsigned(group_size_of(group_size or told, stored), 2**32, "group_size"),
                partial_group=record.partial_group if partial_group is None
                else member(PartialGroup, partial_group, "partial_group"))
            steps = _Steps(progress, sum(one.nbytes for one in found.tensors.values()), _cancelled)
            selection = Selection(include, exclude, convolutions)
            options = dict(mode=kind, group_size=record.group_size, tolerance=tolerance,
                           partial_group=record.partial_group, encoding=record.encoding,
                           timeout=timeout, _cancelled=_cancelled)
            reports, missing = {}, _absent(record, found, selection)
            for name, tensor in found.tensors.items():
                with steps.tensor(tensor):
                    dense = dense_of(tensor, record, record.encoding, selection)
                    if dense is None:
                        continue
                    if against is not None and not _fits(latents, dense):
                        missing += (name,)
                        continue
                    reports[name] = self._verify(found, dense, record,
                                                 latents if against is not None else None,
                                                 layer=filed.ref(name), progress=steps, **options)
                found.release(name)
                if against is not None:
                    latents.release(name)
            found.check_unchanged()
            latents.check_unchanged()
        if not reports and not missing:
            raise InvalidArgument("no tensor of it is a layer to verify", "path")
        return Verified(reports, missing)

    def _verify(self, found: Union[File, Arrays], dense: Tensor, record: Record,
                latents: Union[None, File, Arrays], **options: Any) -> Report:
        name, shape = dense.name, matrix(dense.shape)
        forms = encoded(dense, record.encoding, record.group_size)
        _check_form(found, forms, record)
        seen, reference = found.lend(name), None
        if latents is not None:
            reference = latents.lend(name)._replace(shape=shape)
        if record.encoding in (Encoding.DENSE, Encoding.INT8):
            seen = seen._replace(shape=shape)
        scales = None if forms.scales is None else _scales(found, forms.scales, record)
        report = self._client.verify(seen, shape=shape, scales=scales, reference=reference,
                                     **options)
        return _named(report, name)

    # ---- inspect --------------------------------------------------------------------------

    def inspect(self, source: Source, *, include: Patterns = None, exclude: Patterns = None,
                convolutions: bool = False) -> Contents:
        """What is in a checkpoint; asks no daemon."""
        selection = Selection(include, exclude, convolutions)
        with _opened(source) as found:
            record = read_record(found.metadata)
            layers = tuple(
                name for name, tensor in found.tensors.items()
                if (selection.by_name(name) and name in record.layers
                    if record.layers is not None else selection.is_layer(tensor)))
            return Contents(found.tensors, layers, found.metadata,
                            None if record.layers is None else record.encoding)


@contextmanager
def _opened(source: Source) -> Iterator[Union[File, Arrays]]:
    found = open_source(source)
    try:
        yield found
    finally:
        found.close()


def _named(report: Optional[Report], name: str) -> Report:
    """Without a run the daemon was not told the name."""
    assert report is not None
    return dataclasses.replace(report, layer=name)


def _absent(record: Record, found: Union[File, Arrays], selection: Selection) -> Tuple[str, ...]:
    """Layers of the record that are not in the file."""
    return tuple(name for name in record.layers or ()
                 if name not in found.tensors and selection.by_name(name))


def _fits(latents: Union[File, Arrays], dense: Tensor) -> bool:
    other = latents.tensors.get(dense.name)
    return other is not None and other.dtype in LATENT and \
        len(other.shape) > 0 and matrix(other.shape) == matrix(dense.shape)


def _scales(found: Union[File, Arrays], form: Tensor, record: Record) -> Any:
    """As the call takes them: of one scale, others than a projection write it in the type
    of the model."""
    seen, kind = found.lend(form.name), found.tensors[form.name].dtype
    if record.encoding not in ONE_SCALE or kind == "F32":
        return seen
    if kind == "F16":
        return raw(seen).view("<f2").astype("<f4")
    return (raw(seen).view("<u2").astype("<u4") << 16).view("<f4")


def _check_form(found: Union[File, Arrays], forms: Forms, record: Record) -> None:
    """The tensors there must be what the encoding makes of the dense one."""
    encoding = record.encoding.name.lower()
    data = found.tensors[forms.data.name]
    if (data.dtype, data.nbytes) != (forms.data.dtype, forms.data.nbytes):
        raise InvalidArgument(f"{data.name}: its type or size is not that of {encoding}", "encoding")
    if forms.scales is None:
        return
    scales = found.tensors.get(forms.scales.name)
    if scales is None:
        raise NotFound(f"{data.name}: its scales are not in the file", "scales")
    if record.encoding in ONE_SCALE:
        if scales.nbytes != LATENT.get(scales.dtype):
            raise InvalidArgument(f"{data.name}: its scale {scales.name} is not one F32, F16 or "
                                  "BF16", "scales")
        return
    if (scales.dtype, scales.nbytes) != (forms.scales.dtype, forms.scales.nbytes):
        raise InvalidArgument(f"{data.name}: its scales are not one F32 a group of "
                              f"{record.group_size}", "scales")
