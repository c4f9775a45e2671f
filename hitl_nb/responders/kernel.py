"""The notebook kernel of this process, if there is one. Looks at what is loaded already, and loads nothing."""

from __future__ import annotations

import sys
from typing import Any


def running_shell() -> Any:
    """IPython's shell; None where no IPython runs."""
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None


def running_kernel() -> Any:
    """The kernel that runs the shell; None on a terminal, and where no IPython runs."""
    return getattr(running_shell(), "kernel", None)


def running_page() -> str:
    """The page that runs the cell, by the name that it has in its messages; empty where there is none.

    Each page has a name of its own, and one that is loaded again gets a new one ("session" in Messaging in Jupyter, "Message header").
    """
    kernel = running_kernel()
    request = kernel.get_parent("shell") if hasattr(kernel, "get_parent") else None
    return str((request or {}).get("header", {}).get("session") or "")
