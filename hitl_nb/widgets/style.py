"""The style sheets and the script of the cards, read from the package at first use."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def receipt_css() -> str:
    """What a saved receipt carries along."""
    return _read("receipt.css")


@cache
def card_css() -> str:
    """What a live card needs: the receipt's rules and its own."""
    return receipt_css() + parts_css() + _read("card.css") + _read("panels.css") + _read("inbox/inbox.css")


@cache
def parts_css() -> str:
    """What chats, pictures and tables need; a receipt without any leaves it out."""
    return _read("parts.css")


@cache
def script() -> str:
    """The front-end module of `Surface`."""
    return _read("tree.js") + _read("keys.js") + _read("inbox/inbox.js") + _read("surface.js")


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
