# SPDX-License-Identifier: Apache-2.0
"""How calls are tried again, and what a layer does while there is no daemon."""

from __future__ import annotations

import dataclasses
import logging
import numbers
import threading
import time
import warnings
from typing import Any, Callable, Literal, Optional, TypeVar

import numpy as np

from ._arguments import unsigned, wrong_type
from ._native import ffi, lib, new
from .errors import DeadlineExceeded, InvalidArgument, Unavailable

BACKOFF_SECONDS_MAX = 24 * 60 * 60
ATTEMPTS_MAX = 1000

Fallback = Optional[Literal["local"]]

_Result = TypeVar("_Result")
_log = logging.getLogger("trit")


# ---- the policy --------------------------------------------------------------------------


def _number(value: Any, field: str, low: float, high: float, expected: str) -> float:
    """A number from `low` to `high`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise wrong_type(field, "a number", value)
    if not low <= value <= high:
        raise InvalidArgument(f"{field}: {value!r} is not {expected}", field)
    return float(value)


@dataclasses.dataclass(frozen=True)
class RetryPolicy:
    """How a client tries failed calls again: the fields and rules of gRPC's retry policy.

    Tried again are calls that end with UNAVAILABLE, also when the connection breaks while the
    call runs, and with RESOURCE_EXHAUSTED if the daemon says when to come back. All calls may be
    repeated but `Layers.create`, `load` and `delete`, and `Reports.rewind`, `fork` and `delete`;
    a report that is filed twice is one report. The call's timeout bounds all attempts together.

    Retry n comes after min(initial_backoff * multiplier**(n-1), max_backoff) seconds, made
    shorter or longer at random by up to the share `jitter`, or when the daemon says.

    Attributes:
        max_attempts: Attempts of a call with the first one, 2 to 1000.
        initial_backoff: Seconds before the first retry, at least 0.001.
        max_backoff: The longest pause in seconds, at least 0.001.
        multiplier: By what a pause is longer than the one before it; above 0.
        jitter: 0 to 1.
        max_tokens: Throttling, as gRPC's retryThrottling: the calls of a client share so many
            tokens, 1 to 1000; 0 for no throttling. An attempt that fails takes one, a call
            that succeeds gives `token_ratio` back, and there are retries only while more than
            half of the tokens are left.
        token_ratio: 0.001 to 1000.

    Example:
        >>> retry = trit.RetryPolicy(max_attempts=4, initial_backoff=0.05)
        >>> with trit.Client(address, timeout=30, wait_for_ready=True, retry=retry) as patient:
        ...     patient.ping()
        True
    """

    max_attempts: int = 5
    initial_backoff: float = 0.1
    max_backoff: float = 10.0
    multiplier: float = 2.0
    jitter: float = 0.2
    max_tokens: float = 0.0
    token_ratio: float = 0.1

    def __post_init__(self) -> None:
        attempts = unsigned(self.max_attempts, 2**32, "retry.max_attempts")
        if not 2 <= attempts <= ATTEMPTS_MAX:
            raise InvalidArgument(
                f"retry.max_attempts: {self.max_attempts} is not in 2 to {ATTEMPTS_MAX}; "
                "without a policy there is one attempt",
                "retry.max_attempts",
            )
        seconds = f"a number of seconds in 0.001 to {BACKOFF_SECONDS_MAX}"
        for name in ("initial_backoff", "max_backoff"):
            _number(getattr(self, name), f"retry.{name}", 0.001, BACKOFF_SECONDS_MAX, seconds)
        _number(self.multiplier, "retry.multiplier", 1e-9, 1e9, "a number in 1e-9 to 1e9")
        _number(self.jitter, "retry.jitter", 0, 1, "a number in 0 to 1")
        _number(self.max_tokens, "retry.max_tokens", 0, 1000, "a number in 0 to 1000")
        _number(self.token_ratio, "retry.token_ratio", 0.001, 1000, "a number in 0.001 to 1000")


def c_policy(retry: Optional[RetryPolicy]) -> Any:
    """A `struct trit_retry_policy *`; NULL for none."""
    if retry is None:
        return ffi.NULL
    if not isinstance(retry, RetryPolicy):
        raise wrong_type("retry", "a trit.RetryPolicy or None", retry)
    return new(
        "struct trit_retry_policy *",
        {
            "max_attempts": int(retry.max_attempts),
            "initial_backoff_ms": round(retry.initial_backoff * 1000),
            "max_backoff_ms": round(retry.max_backoff * 1000),
            "multiplier": float(retry.multiplier),
            "has_jitter": True,
            "jitter": float(retry.jitter),
            "max_tokens": float(retry.max_tokens),
            "token_ratio": float(retry.token_ratio),
        },
    )


def c_wait(wait_for_ready: bool) -> int:
    """A value of `enum trit_wait`."""
    if not isinstance(wait_for_ready, (bool, np.bool_)):
        raise wrong_type("wait_for_ready", "a bool", wait_for_ready)
    return int(lib.TRIT_WAIT_ON if wait_for_ready else lib.TRIT_WAIT_OFF)


# ---- without a daemon --------------------------------------------------------------------


def check_fallback(fallback: Any) -> Fallback:
    """Refuses what is no way to go on without a daemon."""
    if fallback is None or fallback == "local":
        return fallback  # type: ignore[no-any-return]
    if not isinstance(fallback, str):
        raise wrong_type("fallback", '"local" or None', fallback)
    raise InvalidArgument(
        f'fallback: {fallback!r} is not one of "local", None; "local" projects in torch or MLX '
        "while the daemon cannot be reached",
        "fallback",
    )


class Outage:
    """Whether a client's daemon was reached last time, and when to look for it again.

    While it is not, at most a tenth of the time goes into looking. Thread-safe.
    """

    PAUSE_SECONDS = 0.25
    PAUSE_SECONDS_MAX = 30.0

    def __init__(self, reachable: Callable[[], bool]) -> None:
        self._reachable = reachable
        self._lock = threading.Lock()
        self._look_at: Optional[float] = None  # None: the daemon was reached
        self._warned = False

    @property
    def lasts(self) -> bool:
        """Whether the daemon was not reached last time."""
        return self._look_at is not None

    def __getstate__(self) -> Any:
        raise TypeError("an Outage belongs to its client")

    def _is_over(self) -> bool:
        """Looks for the daemon if it is time; one thread looks, others do not wait."""
        with self._lock:
            begun = time.monotonic()
            if self._look_at is None:
                return True
            if begun < self._look_at:
                return False
            self._look_at = begun + self.PAUSE_SECONDS_MAX
        back = self._reachable()
        with self._lock:
            now = time.monotonic()
            pause = max(self.PAUSE_SECONDS, 10 * (now - begun))
            self._look_at = None if back else now + min(pause, self.PAUSE_SECONDS_MAX)
        if back:
            _log.info("the daemon is back; layers project by it again")
        return back

    def _begin(self, error: BaseException) -> None:
        with self._lock:
            begins = self._look_at is None
            self._look_at = time.monotonic() + self.PAUSE_SECONDS
            first, self._warned = not self._warned, True
        if not begins:
            return
        message = f"the daemon cannot be reached, layers project locally until it is back: {error}"
        _log.warning(message)
        if first:
            warnings.warn(message, RuntimeWarning, stacklevel=4)

    def run(self, remote: Callable[[], _Result], local: Callable[[], _Result]) -> _Result:
        """The result of `remote`, or of `local` while the daemon cannot be reached."""
        if not self._is_over():
            return local()
        try:
            return remote()
        except (Unavailable, DeadlineExceeded) as error:
            self._begin(error)
            return local()


def projected(
    client: Any,
    remote: Callable[[], _Result],
    local: Callable[[], _Result],
    fallback: Fallback = None,
) -> _Result:
    """What a layer's forward pass computes with.

    `local` without a client; else `remote`, or `local` while the daemon cannot be reached, if
    the caller or the client says so.
    """
    if client is None:
        return local()
    if fallback is None and client.fallback is None:
        return remote()
    outage: Outage = client._outage
    return outage.run(remote, local)
