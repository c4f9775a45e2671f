"""What the loop and the flow ask their driver to do. Each is a description; nothing happens here.

They are not frozen, which takes several times as long to make: each superstep makes some.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hitl_nb.graph.abreast import Abreast
from hitl_nb.graph.emit import Emit
from hitl_nb.graph.node.attempt import Job
from hitl_nb.graph.stretch import Stretch


@dataclass(slots=True)
class Start:
    """Effect: start these jobs. The reply is the first outcomes and events that nodes wrote, one or more in all."""

    jobs: Sequence[Job]
    together: bool = False
    """True: nobody waits for a single one, to store it or to tell of it."""


@dataclass(slots=True)
class More:
    """Effect: wait for what else comes of the jobs started: outcomes and events, one or more in all."""


@dataclass(slots=True)
class Commit:
    """Effect: `Checkpointer.commit` with these arguments. The reply is the new head."""

    arguments: Mapping[str, Any]


@dataclass(slots=True)
class Reload:
    """Effect: read the thread again. The reply is `(Head, Ledger, values)`."""


@dataclass(slots=True)
class Io:
    """Effect: call this function, which may wait for a disk. The reply is what it returns."""

    call: Callable[[], Any]


Effect = Start | Stretch | Abreast | More | Commit | Reload | Emit
Steps = Generator[Effect, Any, None]
"""What the loop yields."""
Flow = Generator[Start | Stretch | Abreast | More | Io | Emit, Any, Any]
"""What a driver carries out: the loop's own store effects have become Io."""
