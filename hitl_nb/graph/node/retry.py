"""When a node that failed is run again at once, and how long to wait before."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hitl_nb.errors import HitlError, NodeTimeoutError

_PERMANENT: Final = (
    ValueError, TypeError, ArithmeticError, ImportError, LookupError, NameError, SyntaxError, RuntimeError, ReferenceError, StopIteration,
    StopAsyncIteration, OSError,
)  # fmt: skip
"""What a second run would most likely raise again."""


def default_retry_on(error: Exception) -> bool:
    """True for what may go away by itself: a lost connection, a timeout, a server that answers 5xx, errors of unknown kind; not wrong code."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
        return status >= 500
    return isinstance(error, ConnectionError | TimeoutError) or not isinstance(error, _PERMANENT)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a node that raises is run again, and after how many seconds. Given to `add_node(…, retry_policy=)`."""

    initial_interval: float = 0.5
    """Seconds before the second attempt."""
    backoff_factor: float = 2.0
    """Each wait is this many times the one before."""
    max_interval: float = 128.0
    """Seconds that no wait exceeds, jitter aside."""
    max_attempts: int = 3
    """Attempts in all, the first included."""
    jitter: bool = True
    """Add up to a second by chance, so that many runs do not try again at the same moment."""
    retry_on: type[Exception] | Sequence[type[Exception]] | Callable[[Exception], bool] = default_retry_on
    """Exception classes, or a function of the exception."""

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or self.initial_interval < 0 or self.max_interval < 0:
            raise ValueError(f"{self}: expected max_attempts of 1 or more, and intervals of 0 seconds or more")

    def applies(self, error: Exception) -> bool:
        """True when this error is worth another attempt. What hitl_nb itself refuses never is, but for a node's timeout."""
        if isinstance(error, HitlError) and not isinstance(error, NodeTimeoutError):
            return False
        if isinstance(self.retry_on, type):
            return isinstance(error, self.retry_on)
        return isinstance(error, tuple(self.retry_on)) if isinstance(self.retry_on, Sequence) else bool(self.retry_on(error))

    def wait_s(self, failures: int) -> float:
        """Seconds to wait after this many failures."""
        wait_s = min(self.max_interval, self.initial_interval * self.backoff_factor ** (failures - 1))
        return wait_s + random.uniform(0, 1) if self.jitter else wait_s  # noqa: S311  # not for a secret
