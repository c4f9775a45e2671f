"""What is asked, how it is shown and answered, and what was decided. `hitl_nb.decisions(store)` is the record of a store as a DataFrame."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """So that the name of this package is also the function that a user calls by it."""

    def __call__(self, store: Any) -> Any:
        from hitl_nb.decisions.record import decisions

        return decisions(store)


sys.modules[__name__].__class__ = _Callable
