"""What is seen of a table under review: the rows of a page as they are drawn, and which rows are let through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Choice = Literal["open", "accept", "edit", "reject"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One value as it is drawn."""

    column: int
    text: str
    """As it was asked."""
    missing: bool = False
    new: str | None = None
    """As it is edited; None: it is not."""
    typed: str = ""
    """While the row is edited: what its field starts with."""
    problem: str = ""
    """Why what is typed is not taken."""
    fixed: bool = False
    """It cannot be edited."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the page."""

    number: int
    label: str
    """Of the index."""
    choice: Choice
    editing: bool
    """Its cells are fields now."""
    hit: bool
    """The rule that is typed would decide it."""
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows are shown. All conditions hold at once."""

    text: str = ""
    """Part of a value as it is shown, in whatever case."""
    column: int | None = None
    """Where `text` is looked for; None: in all columns."""
    only_open: bool = False
    only_hit: bool = False
    """Only what the rule that is typed hits."""
