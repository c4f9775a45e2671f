"""What the callbacks of other people's widgets raise: ipywidgets prints it where no cell shows it, so it is handed to whoever can show it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from hitl_nb.responders.kernel import running_shell


def hear_errors(widget: Any, say: Callable[[BaseException], None], after: Callable[[], None]) -> None:
    """From now on tell `say` what the callbacks of this widget raise when a person uses it. `after` is called after each use."""
    comm, handle = getattr(widget, "comm", None), getattr(widget, "_handle_msg", None)
    if comm is None or handle is None:
        return

    def receive(message: Any) -> None:
        with errors_told(say):
            handle(message)
        after()

    comm.on_msg(receive)


def hear_no_more(widget: Any) -> None:
    """Undo `hear_errors`."""
    comm, handle = getattr(widget, "comm", None), getattr(widget, "_handle_msg", None)
    if comm is not None and handle is not None:
        comm.on_msg(handle)


@contextmanager
def errors_told(say: Callable[[BaseException], None]) -> Iterator[None]:
    """IPython is asked to show an exception of this thread: `say` is told instead. Without IPython nothing changes."""
    shell = running_shell()
    if shell is None:
        yield
        return
    show, before, thread = shell.showtraceback, shell.__dict__.get("showtraceback"), get_ident()

    def tell(*args: Any, **options: Any) -> None:
        error = sys.exception()
        if error is not None and get_ident() == thread:
            say(error)
        else:
            show(*args, **options)

    shell.showtraceback = tell
    try:
        yield
    finally:
        if before is None:
            del shell.showtraceback
        else:
            shell.showtraceback = before
