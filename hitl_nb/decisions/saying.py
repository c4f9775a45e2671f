"""What a person types for a button: its label or its value. Never a guess: what fits none, or several, is none."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from hitl_nb.decisions.request import Option


def option_said(options: Sequence[Option], said: str, *, numbered: bool = False) -> Option | None:
    """The one option that is called so, in any case where only one is; None when none is, or several are. `numbered`: its place, from 1, does too."""
    typed = said.strip()
    for spelled in (str, str.casefold):  # as it was typed first: both "Yes" and "yes" may be there
        names = [(str(n) if numbered else None, spelled(o.label), spelled(str(o.value))) for n, o in enumerate(options, 1)]
        meant = [o for o, known_as in zip(options, names, strict=True) if spelled(typed) in known_as]
        if len(meant) == 1:
            return meant[0]
    return None


def how_to_say(option: Option, options: Sequence[Option]) -> str | None:
    """What to type for this option and no other: its value where that is a text, else its label; None where neither tells it from the others."""
    tries = [option.value, option.label] if isinstance(option.value, str) else [option.label, str(option.value)]
    return next((text for text in tries if text.strip() and option_said(options, text) is option), None)


def nearest(options: Sequence[Option], said: str) -> str | None:
    """What was probably meant, to be named and not to be taken."""
    names = {str(name).casefold(): str(name) for o in options for name in (o.label, o.value)}
    close = difflib.get_close_matches(said.strip().casefold(), names, n=1)
    return names[close[0]] if close else None
