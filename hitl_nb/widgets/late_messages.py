"""What pages still say to a widget that is closed: a click may be on its way while the kernel takes another page's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

from hitl_nb.responders.kernel import running_kernel

_HEARD_MAX: Final = 16
"""Closed widgets that are still heard, the latest ones: each keeps its card, and what is on its way arrives within moments."""


def hear_late(comm_id: str, hear: Callable[[Mapping[str, Any]], None]) -> None:
    """From now on call `hear` with each custom message that a page has sent to the widget with this comm, which was closed just now."""
    manager = getattr(running_kernel(), "comm_manager", None)
    if manager is None:
        return
    manager.register_comm(_Remnant(comm_id, hear))
    _heard[comm_id] = manager
    while len(_heard) > _HEARD_MAX:
        old, its = _heard.popitem(last=False)
        its.comms.pop(old, None)


_heard: Final[OrderedDict[str, Any]] = OrderedDict()
"""By comm, with the manager that has it."""


class _Remnant:
    """What a manager of comms needs of one. Nothing is ever sent by it, and no page that is loaded later asks for a target of this name."""

    target_name: Final = "hitl-nb.closed"

    def __init__(self, comm_id: str, hear: Callable[[Mapping[str, Any]], None]) -> None:
        self.comm_id, self._hear = comm_id, hear
        self._closed = True

    def handle_msg(self, message: Mapping[str, Any]) -> None:
        data = message["content"]["data"]
        if data.get("method") == "custom" and isinstance(data.get("content"), dict):
            self._hear(data["content"])

    def handle_close(self, message: Mapping[str, Any]) -> None:
        """The page closes its side; the manager has taken this out by then."""
        _heard.pop(self.comm_id, None)

    def close(self, *_: Any, **__: Any) -> None:
        """It is closed; a kernel that ends closes all comms that it has."""
