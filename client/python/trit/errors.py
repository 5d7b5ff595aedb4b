# SPDX-License-Identifier: Apache-2.0
"""Exceptions: one class for each gRPC status."""

from __future__ import annotations

from typing import Any, Dict, Tuple, Type

__all__ = [
    "Aborted",
    "AlreadyExists",
    "Cancelled",
    "DataLoss",
    "DeadlineExceeded",
    "Error",
    "FailedPrecondition",
    "Internal",
    "InvalidArgument",
    "InvalidType",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "ResourceExhausted",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
]


class Error(Exception):
    """A call that failed. Each gRPC status has a subclass.

    Attributes:
        status: The gRPC status code, 1 to 16.
        message: What went wrong, in the words of the daemon or of this library.
        field: The path of the argument or request field at fault; "" if there is none.

    Example:
        >>> try:
        ...     client.project(weights, group_size=100, encoding="pq2_0")
        ... except trit.Error as error:
        ...     print(type(error).__name__, error.status, error.field)
        InvalidArgument 3 options.group_size
    """

    status: int = 2

    def __init__(self, message: str, field: str = "") -> None:
        """Makes the exception.

        Args:
            message: What went wrong.
            field: The path of the argument at fault, or "".

        Example:
            >>> str(trit.NotFound("no such layer", "name"))
            'no such layer'
        """
        super().__init__(message)
        self.message = message
        self.field = field

    def __reduce__(self) -> Tuple[Type[Error], Tuple[Any, ...]]:
        return type(self), (self.message, self.field)

    def __str__(self) -> str:
        return self.message


class Cancelled(Error):
    """The call was cancelled."""

    status = 1


class Unknown(Error):
    """The peer failed with a status that says nothing more."""

    status = 2


class InvalidArgument(Error, ValueError):
    """An argument has a value that the call does not take; `field` names it."""

    status = 3


class InvalidType(InvalidArgument, TypeError):
    """An argument has a type that the call does not take; `field` names it."""


class DeadlineExceeded(Error, TimeoutError):
    """The call's timeout passed before the reply was complete."""

    status = 4


class NotFound(Error, LookupError):
    """No layer or report has that name."""

    status = 5


class AlreadyExists(Error):
    """The name is taken: a layer, another report at that step, or an output file."""

    status = 6


class PermissionDenied(Error):
    """The daemon does not allow the call."""

    status = 7


class ResourceExhausted(Error):
    """A limit of the daemon or of the client is reached: memory, calls or message size."""

    status = 8


class FailedPrecondition(Error):
    """The call does not fit the state: a closed client, or a layer of the other kind."""

    status = 9


class Aborted(Error):
    """A file changed while it was read, or the daemon gave the call up."""

    status = 10


class OutOfRange(Error):
    """A position is outside of the data."""

    status = 11


class Unimplemented(Error, NotImplementedError):
    """The daemon does not have this method."""

    status = 12


class Internal(Error):
    """A defect of the daemon or of this library."""

    status = 13


class Unavailable(Error, ConnectionError):
    """The daemon cannot be reached or is shutting down."""

    status = 14


class DataLoss(Error):
    """Stored data is damaged."""

    status = 15


class Unauthenticated(Error):
    """The daemon does not know who calls."""

    status = 16


_BY_STATUS: Dict[int, Type[Error]] = {
    kind.status: kind
    for kind in (
        Cancelled,
        Unknown,
        InvalidArgument,
        DeadlineExceeded,
        NotFound,
        AlreadyExists,
        PermissionDenied,
        ResourceExhausted,
        FailedPrecondition,
        Aborted,
        OutOfRange,
        Unimplemented,
        Internal,
        Unavailable,
        DataLoss,
        Unauthenticated,
    )
}


def error_of(status: int, message: str, field: str) -> Error:
    """The exception of a gRPC status; the caller raises it."""
    return _BY_STATUS.get(status, Unknown)(message, field)
