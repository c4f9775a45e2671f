"""What an error handler is told about the node that failed."""

from __future__ import annotations

import builtins
from dataclasses import dataclass

from hitl_nb import errors
from hitl_nb.checkpoint.records import Failed


@dataclass(frozen=True, slots=True)
class NodeError:
    """The failure that an error handler deals with.

    The handler runs again after each answer to its questions, maybe in another process, so it is told what is stored of the error.
    """

    node: str
    error: Exception
    """Of a built-in class, or a NodeTimeoutError: one like it with the same text; else a `NodeFailure` of the same name with the same text."""
    traceback: str
    """As Python prints it."""


class NodeFailure(Exception):  # noqa: N818  # its subclasses carry the name of what was raised
    """An exception as it was stored: `str()` is its text, the name of its class that of the one that was raised."""


def node_error(node: str, failed: Failed) -> NodeError:
    """What is stored of a failure, as an error again. No code of the class that was raised runs."""
    kind, _, text = failed.error.partition(": ")
    module, _, name = kind.rpartition(".")
    home = {"builtins": builtins, "hitl_nb.errors": errors}.get(module)
    cls = getattr(home, name, None)
    if isinstance(cls, type) and issubclass(cls, Exception):
        try:
            error = cls(text, node=node) if issubclass(cls, errors.HitlError) else cls(text)
        except TypeError:  # a built-in that wants more than a text, such as UnicodeDecodeError
            error = None
        if error is not None and str(error) == text:  # a KeyError quotes its text
            return NodeError(node, error, failed.traceback)
    stored: type[NodeFailure] = type(name.rpartition(".")[2] or "NodeFailure", (NodeFailure,), {"__module__": module})
    return NodeError(node, stored(text), failed.traceback)
