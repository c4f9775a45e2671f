"""What looks wrong in the film table, and what to put there instead: eight plain rules, each proposing, none deciding.

A finding is one cell of the table as a plain dict, so that it can be stored and shown::

    {"rule", "row", "film", "column", "now", "proposed", "why"}

`row` is the position in the table, counted from 0. All cells are text, and an empty cell is "": written back, the table differs only where
somebody decided.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

DATA = Path(__file__).parent / "data" / "films.csv"
LAST_YEAR = 2011
"""The table was collected in 2010 and announces films up to the end of 2011."""
ONE_BY_ONE = 3
"""Up to so many findings of a rule are asked one by one; of more, one is asked and then the others together."""

Finding = dict[str, Any]
Row = dict[str, str]


def read_films(path: Path | str = DATA) -> pd.DataFrame:
    """The table as text, cell for cell as it is in the file: the film "1776" is no number, and "None" would be no missing value."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def find(films: pd.DataFrame) -> list[Finding]:
    """Every finding, ordered by rule and row."""
    rows = films.to_dict("records")
    return [
        {
            "rule": rule.__name__,
            "row": number,
            "film": row["Title"] or "(no title)",
            "column": column,
            "now": row[column],
            "proposed": new,
            "why": rule.__doc__,
        }
        for rule in RULES
        for number, row in enumerate(rows)
        for column, new in rule(row)
    ]


# -- the rules: each yields (column, proposed value), and its first line is the reason that the reviewer reads ---------------------------


def date_in_the_future(row: Row) -> Iterator[tuple[str, str]]:
    """The table was collected in 2010. A year written with two digits was probably read in the wrong century."""
    day, year = row["Release Date"][:-4], int(row["Release Date"][-4:])
    if year > LAST_YEAR:
        yield "Release Date", f"{day}{year - 100}"


def date_of_the_epoch(row: Row) -> Iterator[tuple[str, str]]:
    """Dec 31 1969 is the eve of day 0 of Unix time: what many programs make of a date they do not know."""
    if row["Release Date"] == "Dec 31 1969":
        yield "Release Date", ""


def mangled_letters(row: Row) -> Iterator[tuple[str, str]]:
    """The title was saved by a Windows program and read as if by an old Macintosh. Undoing that gives other letters."""
    try:
        undone = row["Title"].encode("mac_roman").decode("cp1252")
    except UnicodeError:  # a letter that the one or the other never had: not this accident
        return
    if undone != row["Title"]:
        yield "Title", undone


def article_at_the_end(row: Row) -> Iterator[tuple[str, str]]:
    """Other titles of the table have their article in front."""
    if match := re.fullmatch(r"(.+), (The|A|An)", row["Title"]):
        yield "Title", f"{match[2]} {match[1]}"


def no_title(row: Row) -> Iterator[tuple[str, str]]:
    """The title is missing. Perhaps the film is called something that a program takes for a missing value."""
    if not row["Title"]:
        yield "Title", "(untitled)"


def doubled_quotes(row: Row) -> Iterator[tuple[str, str]]:
    """A quotation mark is doubled, as it is inside a CSV file."""
    for column in ("Title", "Director"):
        if '""' in row[column]:
            yield column, row[column].replace('""', '"')


def tiny_budget(row: Row) -> Iterator[tuple[str, str]]:
    """No other film cost under 5,000 dollars. The amount may be in thousands."""
    if row["Production Budget"] and int(row["Production Budget"]) < 5000:
        yield "Production Budget", f"{row['Production Budget']}000"


def very_short(row: Row) -> Iterator[tuple[str, str]]:
    """No other film of the table runs under an hour. The running time may be wrong."""
    if row["Running Time min"] and int(row["Running Time min"]) < 60:
        yield "Running Time min", ""


RULES = (date_in_the_future, date_of_the_epoch, mangled_letters, article_at_the_end, no_title, doubled_quotes, tiny_budget, very_short)


# -- asking ------------------------------------------------------------------------------------------------------------------------------


def group(findings: list[Finding]) -> list[list[Finding]]:
    """What is asked together: a few findings of a rule one by one; of many, the first alone and then the others at once."""
    groups: list[list[Finding]] = []
    for _, of_rule in groupby(findings, key=lambda f: f["rule"]):
        same = list(of_rule)
        groups += [[f] for f in same] if len(same) <= ONE_BY_ONE else [same[:1], same[1:]]
    return groups


def question(findings: list[Finding], films: pd.DataFrame) -> dict[str, Any]:
    """The payload to show for one group."""
    first = findings[0]
    what = first["column"].removesuffix(" min").lower()
    if len(findings) > 1:
        return {
            "action": "review",
            "question": f"Correct the {what} of {len(findings)} more films in the same way?",
            "instruction": first["why"],
            "content": "\n".join(change(f) for f in findings),
            "options": ["accept_all", "one_by_one", "reject_all"],
        }
    film = films.loc[first["row"]]
    about = {column: readable(film[column]) for column in CONTEXT if film[column] and column != first["column"]}
    return {
        "action": "review",
        "question": f"{first['film']}: correct the {what}?",
        "instruction": first["why"],
        "draft": first["proposed"],
        "change": f"{readable(first['now'])} → {readable(first['proposed'])}",
        **about,
        "options": ["accept", "edit", "reject"],
    }


CONTEXT = ("Release Date", "Major Genre", "Distributor", "Director", "Production Budget", "Worldwide Gross", "Running Time min")
"""What helps a reviewer to recognise a film."""


def change(finding: Finding) -> str:
    text = f"{readable(finding['now'])} → {readable(finding['proposed'])}"
    return text if finding["column"] == "Title" else f"{finding['film']}: {text}"


def readable(cell: str) -> str:
    return f"{int(cell):,}" if cell.isdigit() else cell or "(empty)"


# -- applying ----------------------------------------------------------------------------------------------------------------------------


def decide(findings: list[Finding], answer: dict[str, str]) -> list[Finding]:
    """The findings with their outcome: `new` (the cell's value from now on), `action` and `comment`."""
    action = answer["action"].removesuffix("_all")
    new = {"accept": lambda f: f["proposed"], "edit": lambda f: answer["edited_text"], "reject": lambda f: f["now"]}[action]
    return [{**f, "new": new(f), "action": action, "comment": answer.get("feedback", "")} for f in findings]


def apply(films: pd.DataFrame, decided: list[Finding]) -> pd.DataFrame:
    """A copy of the table with the decided cells in it. A cell with two findings keeps what was decided last."""
    cleaned = films.copy()
    for finding in decided:
        if finding["new"] != finding["now"]:
            cleaned.at[finding["row"], finding["column"]] = finding["new"]
    return cleaned
