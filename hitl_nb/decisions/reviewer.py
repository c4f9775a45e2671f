"""Who answers, when nobody says so."""

from __future__ import annotations

import getpass
import os
from typing import Final

from hitl_nb.errors import shown

REVIEWER_VARIABLE: Final = "HITL_NB_REVIEWER"


def reviewer_name(given: str | None = None) -> str:
    """The name to record: the given one, else that of HITL_NB_REVIEWER, else the JupyterHub user, else the login name, else `unknown`."""
    if given is not None:
        checked_name("reviewer", given)
    for name in (given, os.environ.get(REVIEWER_VARIABLE), os.environ.get("JUPYTERHUB_USER"), _login()):
        if name and name.strip():
            return name.strip()
    return "unknown"


def checked_name(what: str, given: object) -> str:
    """The name, when it is text that can be stored. Raises TypeError."""
    if not isinstance(given, str):
        raise TypeError(f"{what} is {shown(given)} ({type(given).__name__}); expected a name")
    if any("\ud800" <= letter <= "\udfff" for letter in given):
        raise TypeError(f"{what} is {shown(given)}, which holds half a surrogate pair and cannot be stored; expected a name")
    return given


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user id has no entry in the password file
        return ""
