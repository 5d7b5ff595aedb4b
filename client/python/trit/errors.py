# SPDX-License-Identifier: Apache-2.0
"""One exception class for each gRPC status; `field` names the part of the
request at fault, or is empty."""
from __future__ import annotations

__all__ = [
    "Error", "Cancelled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound",
    "AlreadyExists", "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss",
    "Unauthenticated", "error_of",
]


class Error(Exception):
    """A call that failed. `status` is the gRPC code, `message` the daemon's or
    the library's words, `field` the path of the field they are about."""

    status: int = 2

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def __reduce__(self):
        return type(self), (self.message, self.field)

    def __str__(self) -> str:
        return self.message


class Cancelled(Error):
    status = 1


class Unknown(Error):
    status = 2


class InvalidArgument(Error, ValueError):
    status = 3


class DeadlineExceeded(Error, TimeoutError):
    status = 4


class NotFound(Error, LookupError):
    status = 5


class AlreadyExists(Error):
    status = 6


class PermissionDenied(Error):
    status = 7


class ResourceExhausted(Error):
    status = 8


class FailedPrecondition(Error):
    status = 9


class Aborted(Error):
    status = 10


class OutOfRange(Error):
    status = 11


class Unimplemented(Error, NotImplementedError):
    status = 12


class Internal(Error):
    status = 13


class Unavailable(Error, ConnectionError):
    status = 14


class DataLoss(Error):
    status = 15


class Unauthenticated(Error):
    status = 16


_BY_STATUS = {one.status: one for one in (
    Cancelled, Unknown, InvalidArgument, DeadlineExceeded, NotFound, AlreadyExists,
    PermissionDenied, ResourceExhausted, FailedPrecondition, Aborted, OutOfRange,
    Unimplemented, Internal, Unavailable, DataLoss, Unauthenticated)}


def error_of(status: int, message: str, field: str) -> Error:
    """The exception of a status, not raised."""
    return _BY_STATUS.get(status, Unknown)(message, field)
