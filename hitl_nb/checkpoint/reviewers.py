"""Who may answer the questions of a store: reviewers with their roles, as a file beside the store lists them.

A rule among people who keep to it, not a lock: a reviewer's name is what the kernel's user says it is, and who can write to the folder can change the
file. What was refused and what was taken stands in the decision log.
"""

from __future__ import annotations

import os
import re
import time
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hitl_nb.errors import AnswersFileError, ReviewersFileError, shown

FILE_NAMES: Final = ("reviewers.yaml", "reviewers.yml", "reviewers.json")
"""In the folder of a store; one of them."""
_EXPECTED: Final = "expected `reviewers:` with a list of roles for each name, such as {reviewers: {dana: [legal, finance], sam: []}}"
_NAMED_MAX: Final = 8
"""Reviewers that a message names."""

_EDITORS_S: Final = 0.05
"""Some editors move a file out of the way before they write it: one that was there a moment ago is looked for again before it counts as gone."""

Given = Mapping[str, Any] | str | os.PathLike[str]


_UNSEEN: Final = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Letters and marks that are drawn as nothing, beside those whose category says so."""


def folded(name: str) -> str:
    """The name as names are compared: "Dana" is "dana ", however its accents and its spaces are written, and whatever it holds that nobody sees."""
    seen = name if name.isascii() and name.isprintable() else _seen(name)
    return " ".join(unicodedata.normalize("NFKC", seen.casefold()).split())


def _seen(name: str) -> str:
    normal = _UNSEEN.sub("", unicodedata.normalize("NFKC", name))
    return "".join(letter for letter in normal if letter.isspace() or unicodedata.category(letter) not in ("Cc", "Cf"))


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Somebody who may answer."""

    id: str
    """As an assignee and `by:` name them."""
    name: str
    """In full; the id where there is no other."""
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reviewers:
    """Those who may answer. `source`: the file, or what stands for it."""

    people: tuple[Reviewer, ...]
    source: str
    _by_name: Mapping[str, Reviewer] = field(repr=False)
    _by_role: Mapping[str, tuple[Reviewer, ...]] = field(repr=False)

    @classmethod
    def of(cls, data: Any, source: str = "reviewers=") -> Reviewers:
        """From the content of a reviewers file. Raises ReviewersFileError."""
        listed = data.get("reviewers") if isinstance(data, Mapping) else None
        if not isinstance(data, Mapping) or list(data) != ["reviewers"] or not isinstance(listed, Mapping) or not listed:
            raise ReviewersFileError(f"{source} is {shown(data)}; {_EXPECTED}")
        people = tuple(_reviewer(id_, given, source) for id_, given in listed.items())
        by_name: dict[str, Reviewer] = {}
        for person in people:
            for name in dict.fromkeys((folded(person.id), folded(person.name))):
                if name in by_name:
                    raise ReviewersFileError(
                        f"{source}: {by_name[name].id!r} and {person.id!r} are both called {name!r}; names are compared in any case"
                    )
                by_name[name] = person
        by_role: dict[str, tuple[Reviewer, ...]] = {}
        for person in people:
            for role in dict.fromkeys(map(folded, person.roles)):
                by_role[role] = (*by_role.get(role, ()), person)
        if both := by_name.keys() & by_role.keys():
            raise ReviewersFileError(
                f"{source}: {min(both)!r} is a reviewer and a role, so an assignee of that name says not which; rename one of them"
            )
        return cls(people, source, by_name, by_role)

    @property
    def called(self) -> str:
        """The file without its folder, for a sentence."""
        return Path(self.source).name

    def person(self, name: str) -> Reviewer | None:
        """Who is called so; None: nobody who is listed."""
        return self._by_name.get(folded(name))

    def voter(self, name: str) -> str:
        """Who that is, the same for each of their names."""
        person = self.person(name)
        return folded(name if person is None else person.id)

    def asked(self, assignee: str | None) -> tuple[Reviewer, ...]:
        """The reviewer, or the holders of the role, that a question is assigned to; all of them when it is assigned to nobody."""
        if assignee is None:
            return self.people
        person = self.person(assignee)
        return (person,) if person is not None else self._by_role.get(folded(assignee), ())


def _reviewer(id_: Any, given: Any, source: str) -> Reviewer:
    place = f"{source}: reviewer {shown(id_)}"
    _require_name(id_, place)
    roles, name = given, id_
    if isinstance(given, Mapping):
        unknown = [key for key in given if key not in ("name", "roles")]
        if unknown:
            raise ReviewersFileError(f"{place} has the unknown key {shown(unknown[0])}; expected name and roles")
        roles, name = given.get("roles"), given.get("name", id_)
        _require_name(name, f"{place}, name")
    roles = [] if roles is None else roles
    if not isinstance(roles, list | tuple):
        raise ReviewersFileError(f"{place} has the roles {shown(roles)}; expected a list, such as [legal]")
    for role in roles:
        _require_name(role, f"{place}, a role")
    return Reviewer(id_, name, tuple(roles))


def _require_name(name: Any, place: str) -> None:
    if not isinstance(name, str) or not folded(name):
        raise ReviewersFileError(f"{place} is {shown(name)}; expected a name")


@dataclass(slots=True)
class ReviewersFile:
    """Who may answer in a store, read again whenever the file changes. May be used from any thread."""

    given: Reviewers | Path | None = None
    """What the caller of the store named."""
    here: tuple[str, ...] = ()
    """Where a file may lie that every opener of the store obeys. As texts: they are looked for at every answer."""
    _read: tuple[tuple[Any, ...], Reviewers] | None = None
    """What the file was when it was read, and what it says."""

    @classmethod
    def of(cls, given: Given | None, folder: Path | None = None) -> ReviewersFile:
        """Raises ReviewersFileError for what cannot be read, also when it is a path."""
        here = () if folder is None else tuple(str(folder / name) for name in FILE_NAMES)
        if given is None:
            return cls(None, here)
        if not isinstance(given, str | os.PathLike):
            return cls(Reviewers.of(given), here)
        made = cls(Path(given).expanduser().absolute(), here)
        made.now()
        return made

    def now(self) -> Reviewers | None:
        """Those who may answer, as the file says now; None: there is no file, and anybody may. Raises ReviewersFileError: it never fails open."""
        found = self._found()
        if not found and self._read is not None and self.given is None:
            time.sleep(_EDITORS_S)
            found = self._found()
        if len(found) + (self.given is not None) > 1:
            named = found + ([] if self.given is None else ["reviewers="])
            raise ReviewersFileError(f"{' and '.join(named)} both say who may answer; keep one of them. No answer is taken before that")
        if isinstance(self.given, Reviewers):
            return self.given
        path = Path(found[0]) if found else self.given
        if path is None:
            self._read = None
            return None
        stamp = (path, _stamp(path))
        known = self._read
        if known is None or known[0] != stamp:
            known = self._read = (stamp, _read(path))
        return known[1]

    def _found(self) -> list[str]:
        return [path for path in self.here if _stamp(path) is not None]


def _stamp(path: Path | str) -> tuple[int, ...] | None:
    """By what a change of the file shows; None: there is none."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        found = os.stat(path)  # noqa: PTH116  half the time of Path.stat, for every answer
    except OSError as error:  # a link that leads nowhere is no missing file
        raise _unreadable(path, error) from None
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _read(path: Path) -> Reviewers:
    from hitl_nb.plain.text import file_text
    from hitl_nb.plain.yaml_json import load_with_lines

    try:
        text = file_text(path, str(path), "a list of reviewers")
        data, _ = load_with_lines(text, str(path), "json" if path.suffix == ".json" else "yaml")
    except AnswersFileError as error:
        raise ReviewersFileError(f"{error}. No answer is taken before the file is right") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    return Reviewers.of(data, str(path))


def _unreadable(path: Path | str, error: OSError) -> ReviewersFileError:
    return ReviewersFileError(f"{path} says who may answer, and cannot be read: {error}. No answer is taken before it can")


def names(people: Sequence[Reviewer]) -> str:
    """`dana, lee and 3 more`; `nobody`."""
    more = f" and {len(people) - _NAMED_MAX} more" if len(people) > _NAMED_MAX else ""
    return ", ".join(p.id for p in people[:_NAMED_MAX]) + more or "nobody"
