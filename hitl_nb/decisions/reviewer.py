"""Who answers, when nobody says so."""

from __future__ import annotations

import getpass
import os


def reviewer_name(given: str | None = None) -> str:
    """The name to record: the given one, else the JupyterHub user, else the login name, else `unknown`."""
    if given is not None and not isinstance(given, str):
        raise TypeError(f"reviewer is {given!r} ({type(given).__name__}); expected a name")
    for name in (given, os.environ.get("JUPYTERHUB_USER"), _login()):
        if name and name.strip():
            return name.strip()
    return "unknown"


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user id has no entry in the password file
        return ""
