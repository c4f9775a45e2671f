"""A script from what was given: a list, a mapping, or an answers file, read before anything runs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, get_args

from hitl_nb.decisions.answers.entry import Entry, Taped
from hitl_nb.decisions.answers.script import OnChange, OnMissing, OnUnused, Script
from hitl_nb.decisions.answers.values import from_plain
from hitl_nb.errors import AnswersFileError, shown
from hitl_nb.plain.text import text_of
from hitl_nb.plain.yaml_json import load_with_lines

TAPE_VERSION: Final = 1
_CONDITIONS: Final = ("thread", "node", "key", "when", "nth", "position")
_ENTRY_KEYS: Final = (*_CONDITIONS, "answer", "edit", "comment", "times", "by", "payload", "schema", "asked")
_SETTINGS: Final[dict[str, Any]] = {"on_missing": OnMissing, "on_change": OnChange, "on_unused": OnUnused}
_FILE_KEYS: Final = ("answers", "default", *_SETTINGS, "tape")
_ENTRY_ONLY: Final = frozenset({"thread", "node", "when", "nth", "times", "by"})
_EXPECTED: Final = "expected a list of answers, a mapping of nodes to answers, or a mapping with `answers:`, a list of entries with `answer:` each"


def read_script(given: Any, *, source: str = "answers=") -> Script:
    """The script of a list, a mapping, a path to a YAML, JSON or JSON lines file, or the text of one (with a line break, or starting with [ or {).

    Raises AnswersFileError, which names the file and line, before anything runs.
    """
    lines: list[int] = []
    data = given
    if isinstance(given, (str, Path)):
        text, source, kind = text_of(given, source)
        data, lines = load_with_lines(text, source, kind)
        if kind == "jsonl" and data and _is_settings(data[0]):
            data, lines = {**data[0], "answers": data[1:]}, lines[1:]
        _require_end(text, data, source)
        if kind == "yaml" and text != given:  # a file
            _require_last_line_end(text, source)
    if isinstance(data, Mapping) and ("answers" in data or _is_settings(data)):
        return _file(data, lines, source)
    if isinstance(data, (list, tuple)):
        return Script(_entries(data, lines, source), source=source, shape="list")
    if isinstance(data, Mapping) and {"cells", "nbformat"} <= data.keys():  # else its parts would be taken for nodes
        raise AnswersFileError(f"{source} is a notebook; {_EXPECTED}")
    if isinstance(data, Mapping):
        return Script(_by_node(data, source), source=source, shape="nodes")
    raise AnswersFileError(f"{source} is {data!r:.80}; {_EXPECTED}")


def _is_settings(item: Any) -> bool:
    return isinstance(item, Mapping) and bool(item) and all(k in _FILE_KEYS for k in item) and any(k in _SETTINGS or k == "tape" for k in item)


def _require_end(text: str, data: Any, source: str) -> None:
    """A tape says where it ends, so that one that was cut short is not taken for a shorter tape."""
    if not isinstance(data, Mapping) or "tape" not in data or text.lstrip()[:1] == "{":
        return
    if text.rstrip().rpartition("\n")[2] != "...":
        raise AnswersFileError(f"{source} is a tape, and does not end with the line `...`: it was cut short. Write it again with hitl-nb tape")


def _require_last_line_end(text: str, source: str) -> None:
    """YAML has no other sign of its end: `answer: 1200` that was cut short is `answer: 12`. A quote or a bracket that is closed is one."""
    last = text.rpartition("\n")[2].strip()
    if last and last[-1] not in "\"'}]" and last != "..." and not last.startswith("#"):
        raise AnswersFileError(
            f"{source} does not end with a line break, behind {shown(last, 80)}: was it cut short? What stands there may be half an answer. If it is "
            f"the whole file, end its last line with a line break"
        )


def _file(data: Mapping[Any, Any], lines: list[int], source: str) -> Script:
    _known_keys(data, _FILE_KEYS, source)
    if "answers" not in data:
        raise AnswersFileError(
            f"{source} has {', '.join(map(str, data))} and no answers; add `answers:`, a list of entries with `answer:` each (or [])"
        )
    for name, allowed in _SETTINGS.items():
        if name in data and data[name] not in get_args(allowed):
            *others, last = get_args(allowed)
            raise AnswersFileError(f"{source}: {name} is {data[name]!r:.80}; expected {', '.join(others)} or {last}")
    version = data.get("tape", TAPE_VERSION)
    if version != TAPE_VERSION or isinstance(version, bool):
        raise AnswersFileError(f"{source} is a tape of version {version!r:.80}, and this hitl_nb reads {TAPE_VERSION}; pip install --upgrade hitl-nb")
    if not isinstance(data["answers"], (list, tuple)):
        raise AnswersFileError(f"{source}: answers is {data['answers']!r:.80}; expected a list of entries")
    settings = {name: data[name] for name in _SETTINGS if name in data}
    entries = _entries(data["answers"], lines, source)
    return Script(entries, source=source, defaults=_defaults(data.get("default"), source), **settings)


def _defaults(given: Any, source: str) -> list[Entry]:
    if given is None:
        return []
    if not isinstance(given, Mapping) or not all(isinstance(node, str) for node in given):
        raise AnswersFileError(
            f'{source}: default is {given!r:.80}; expected a mapping of nodes to answers, such as {{review: approve, "*": reject}}'
        )
    return [Entry(from_plain(answer, source), f"{source}, default for {node}", node=node, times=None) for node, answer in given.items()]


def _entries(items: Iterable[Any], lines: list[int], source: str) -> list[Entry]:
    items = list(items)
    spelled = [_is_entry(i) for i in items]
    places = [f"{source}, line {lines[n]}" if n < len(lines) else f"{source}, entry {n + 1}" for n in range(len(items))]
    for place, item, entry in zip(places, items, spelled, strict=True):
        if isinstance(item, Mapping) and not entry and _is_meant_as_entry(item):
            raise AnswersFileError(f"{place} is {item!r:.80}, without `answer:`; write it as {{answer: …}}, be it an entry or an answer")
    if not any(spelled):
        return [Entry(from_plain(item, place), place, in_order=True) for item, place in zip(items, places, strict=True)]
    if not all(spelled):
        n = spelled.index(False)
        raise AnswersFileError(f"{places[n]} is {items[n]!r:.80}, without `answer:`, among entries that have one; write it as {{answer: …}}")
    made = [_entry(item, place) for item, place in zip(items, places, strict=True)]
    _require_reachable(made)
    return made


def _is_entry(item: Any) -> bool:
    return isinstance(item, Mapping) and ("answer" in item or ("edit" in item and all(k in _ENTRY_KEYS for k in item)))


def _is_meant_as_entry(item: Mapping[Any, Any]) -> bool:
    """A misspelled entry must not be recorded as if it were an answer."""
    return bool(_ENTRY_ONLY & item.keys() or difflib.get_close_matches("answer", map(str, item), n=1, cutoff=0.8))


def _entry(item: Mapping[Any, Any], place: str) -> Entry:
    _known_keys(item, _ENTRY_KEYS, place)
    if ("answer" in item) == ("edit" in item):
        raise AnswersFileError(f"{place} has both answer: and edit:; expected one of them, for an edit makes the answer")
    for name in ("thread", "node", "key", "by", "comment", "payload", "schema"):
        if item.get(name) is not None and not isinstance(item[name], str):
            raise AnswersFileError(f"{place}: {name} is {item[name]!r:.80}; expected a text")
    when = item.get("when") or {}
    if not isinstance(when, Mapping):
        raise AnswersFileError(f"{place}: when is {when!r:.80}; expected a mapping of payload keys to values")
    for name, least in (("nth", 1), ("position", 0)):
        if item.get(name) is not None and (isinstance(item[name], bool) or not isinstance(item[name], int) or item[name] < least):
            raise AnswersFileError(f"{place}: {name} is {item[name]!r:.80}; expected a whole number, {least} or more")
    times = item.get("times", 1)
    if times != "always" and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
        raise AnswersFileError(f"{place}: times is {times!r:.80}; expected 1 or more, or always")
    if item.get("comment") and "edit" not in item:
        raise AnswersFileError(f"{place}: comment goes with edit:; of an answer it is a part, such as {{action: approve, feedback: …}}")
    if item.get("payload") is None and (item.get("schema") is not None or item.get("asked") is not None):
        raise AnswersFileError(f"{place}: schema and asked belong to a tape's entry, which has payload: too")
    return Entry(
        from_plain(item["edit"] if "edit" in item else item["answer"], place),
        place,
        item.get("thread"),
        item.get("node"),
        item.get("key"),
        when,
        None if times == "always" else times,
        item.get("by"),
        nth=item.get("nth"),
        position=item.get("position"),
        edits="edit" in item,
        comment=item.get("comment") or "",
        taped=None if item.get("payload") is None else Taped(item["payload"], item.get("schema"), item.get("asked")),
    )


def _require_reachable(entries: list[Entry]) -> None:
    """An entry behind one that always answers the same questions never answers."""
    endless: list[Entry] = []
    for entry in entries:
        before = next((e for e in endless if _takes_all_of(e, entry)), None)
        if before is not None:
            raise AnswersFileError(
                f"{entry.place} can never answer: {before.place} fits the same questions and answers always. Put the more exact one first, or give "
                f"the first one a condition"
            )
        if entry.times is None:
            endless.append(entry)


def _takes_all_of(wide: Entry, narrow: Entry) -> bool:
    names = ("thread", "node", "key", "nth", "position")
    same = all(getattr(wide, n) is None or getattr(wide, n) == getattr(narrow, n) for n in names)
    return same and all(key in narrow.when and narrow.when[key] == value for key, value in wide.when.items())


def _by_node(data: Mapping[Any, Any], source: str) -> list[Entry]:
    made = []
    for node, answers in data.items():
        if not isinstance(node, str):
            raise AnswersFileError(f"{source} has the key {node!r:.80}; expected the name of a node")
        in_order = list(answers) if isinstance(answers, (list, tuple)) else [answers]
        for n, answer in enumerate(in_order):
            place = f"{source}, {node}[{n}]"
            made.append(Entry(from_plain(answer, place), place, node=node, in_order=True))
    return made


def _known_keys(item: Mapping[Any, Any], known: tuple[str, ...], place: str) -> None:
    for key in item:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            raise AnswersFileError(f"{place}: unknown key {key!r:.80}{f', did you mean {near[0]!r}?' if near else ''}; expected {', '.join(known)}")
