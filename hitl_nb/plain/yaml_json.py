"""YAML and JSON read as the data of JSON: only true and false are bools, dates and times stay texts, no tags, no key twice.

YAML 1.1 reads `answer: no` as False and `12:30` as 750, `010` as 8; in an answers file they are the texts they look like.
Nothing here recurses, and an alias is never copied, so neither a deep file nor one whose aliases multiply costs more than its own size.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from hitl_nb.errors import AnswersFileError, shown
from hitl_nb.plain.text import Kind

DEPTH_MAX: Final = 100
"""How deep lists and mappings may lie inside each other."""
VALUES_MAX: Final = 1_000_000
"""How many values a file may hold, each alias counted as all that it stands for."""
_PLAIN: Final = (
    (re.compile(r"true|false"), lambda text: text == "true"),
    (re.compile(r"null|~|"), lambda text: None),
    (re.compile(r"[-+]?(0|[1-9][0-9]*)"), int),
    (re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
)
_BREAKS: Final = re.compile("[\x85\u2028\u2029\ufeff]")
"""What some readers take for the end of a line, or for a mark."""
_TURNS: Final = re.compile("[\u202d\u202e]")
"""What forces the direction of what follows: a text that people read holds it as its escape."""
_TEXT_TAGS: Final = ("!", "tag:yaml.org,2002:str")
_EXPECTED: Final = "expected YAML or JSON"


def load_with_lines(text: str, source: str, kind: Kind = "yaml") -> tuple[Any, list[int]]:
    """The data, and the line of each item of the list that is the document or its `answers`. Raises AnswersFileError with the line."""
    if kind == "jsonl":
        return _json_lines(text, source)
    if kind == "json" or text.lstrip()[:1] in ("[", "{"):
        # JSON may be indented with tabs, which YAML forbids; what is no JSON is read as YAML, which also knows the line of a key that is there twice.
        try:
            return _json(text, source), list(_item_lines(text))
        except _NoJSONError as error:
            if kind == "json":
                raise AnswersFileError(f"{source}, line {error.line}: {error.reason}; expected JSON{_cut(text, error.at)}") from None
        except AnswersFileError as error:
            if kind == "json" and ("\t" in text or not isinstance(error, _TwiceError)):
                raise
    return _yaml(text, source)


# -- YAML ------------------------------------------------------------------------------------------------------------------------------


def _yaml(text: str, source: str) -> tuple[Any, list[int]]:
    import yaml

    build = _Builder(source)
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            build.take(event)
    except yaml.reader.ReaderError as error:
        where = text[: error.position] if isinstance(error.position, int) else ""
        raise AnswersFileError(
            f"{source}, line {where.count(chr(10)) + 1}: a character that YAML does not allow ({error.reason}); {_EXPECTED}"
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}, line {mark.line + 1}" if mark is not None else source
        problem = getattr(error, "problem", None) or error
        raise AnswersFileError(f"{where}: {problem}; {_EXPECTED}{'' if mark is None else _cut(text, mark.index)}") from None
    return build.document, build.lines


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being read."""

    value: Any
    line: int
    anchor: str | None
    keys: list[Any] = field(default_factory=list)
    """Of a mapping: the key that waits for its value."""
    size: int = 1
    """Values in it so far, an alias counted as what it stands for."""
    depth: int = 1
    """Levels in it."""


class _Builder:
    """Data from the events of a parser."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.document: Any = None
        self.lines: list[int] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int, int] | None] = {}
        """Value, size and depth; None while it is being read."""
        self._documents = 0

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        match type(event).__name__:
            case "DocumentStartEvent":
                self._documents += 1
                if self._documents > 1:
                    self._refuse(line, "a second document begins; expected one document a file")
            case "ScalarEvent":
                self._put(self._scalar(event, line), line, anchor=event.anchor)
            case "SequenceStartEvent" | "MappingStartEvent" as kind:
                if event.tag not in (None, "!") and not event.tag.startswith("tag:yaml.org,2002:" + ("seq" if kind[0] == "S" else "map")):
                    self._refuse(line, f"could not determine a constructor for the tag {event.tag!r}; expected plain data without tags")
                if event.anchor:
                    self._anchors[event.anchor] = None
                self._stack.append(_Open([] if kind[0] == "S" else {}, line, event.anchor))
                if len(self._stack) > DEPTH_MAX:
                    self._refuse(line, f"lists and mappings lie more than {DEPTH_MAX} deep inside each other")
            case "SequenceEndEvent" | "MappingEndEvent":
                done = self._stack.pop()
                self._put(done.value, done.line, done.size, done.depth, anchor=done.anchor)
            case "AliasEvent":
                found = self._anchors.get(event.anchor, ())
                if not found:
                    self._refuse(line, f"the alias *{event.anchor} {'contains itself' if found is None else 'names nothing above it'}")
                self._put(found[0], line, found[1], found[2])

    def _put(self, value: Any, line: int, size: int = 1, depth: int = 0, *, anchor: str | None = None) -> None:
        if anchor:
            self._anchors[anchor] = (value, size, depth)
        if not self._stack:
            self.document = value
            return
        top = self._stack[-1]
        top.size += size
        top.depth = max(top.depth, depth + 1)
        if top.size > VALUES_MAX:
            self._refuse(line, f"the file stands for more than {VALUES_MAX:,} values, its aliases (*name) counted; nothing of it was read")
        if len(self._stack) + depth > DEPTH_MAX:
            self._refuse(line, f"lists and mappings lie more than {DEPTH_MAX} deep inside each other")
        if isinstance(top.value, list):
            if len(self._stack) == 1 or (len(self._stack) == 2 and self._stack[0].keys == ["answers"]):
                self.lines.append(line)
            top.value.append(value)
        elif not top.keys:
            if isinstance(value, (list, dict)):
                self._refuse(line, "found an unhashable key: a list or mapping is no key")
            if value in top.value:
                self._refuse(line, f"the key {value!r} is there twice")
            top.keys.append(value)
        else:
            top.value[top.keys.pop()] = value

    def _scalar(self, event: Any, line: int) -> Any:
        if event.tag is not None and event.tag not in _TEXT_TAGS:
            self._refuse(line, f"could not determine a constructor for the tag {event.tag!r}; expected plain data without tags")
        if event.tag is not None or not event.implicit[0]:
            return event.value
        for pattern, read in _PLAIN:
            if pattern.fullmatch(event.value):
                try:
                    value = read(event.value)
                except ValueError:  # more digits than Python reads
                    self._refuse(line, f"a number of {len(event.value)} digits")
                if isinstance(value, float) and not math.isfinite(value):
                    self._refuse(line, f"{event.value} is too large a number")
                return value
        return event.value

    def _refuse(self, line: int, why: str) -> NoReturn:
        raise AnswersFileError(f"{self.source}, line {line}: {why}")


# -- JSON ------------------------------------------------------------------------------------------------------------------------------


class _TwiceError(AnswersFileError):
    """A key is there twice, and the JSON reader does not know the line."""


class _NoJSONError(Exception):
    def __init__(self, reason: str, line: int, at: int) -> None:
        super().__init__(reason)
        self.reason, self.line, self.at = reason, line, at


def _json(text: str, source: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            twice = next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))
            raise _TwiceError(f"{source}: the key {shown(twice)} is there twice")
        return made

    try:
        data = json.loads(text, object_pairs_hook=once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _NoJSONError(error.msg, error.lineno, error.pos) from None
    except RecursionError:
        raise AnswersFileError(f"{source}: lists and mappings lie more than {DEPTH_MAX} deep inside each other") from None
    except ValueError as error:  # NaN, or more digits than Python reads
        raise AnswersFileError(f"{source}: {error}") from None
    _require_bounds(data, source)
    return data


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _require_bounds(data: Any, source: str) -> None:
    count, level = 0, [data]
    for _ in range(DEPTH_MAX + 1):
        count += len(level)
        for value in level:
            if isinstance(value, float) and not math.isfinite(value):
                raise AnswersFileError(f"{source}: a number is too large")
        level = [v for value in level if isinstance(value, (list, dict)) for v in (value.values() if isinstance(value, dict) else value)]
        if not level:
            break
    else:
        raise AnswersFileError(f"{source}: lists and mappings lie more than {DEPTH_MAX} deep inside each other")
    if count > VALUES_MAX:
        raise AnswersFileError(f"{source}: the file holds more than {VALUES_MAX:,} values; nothing of it was used")


def _json_lines(text: str, source: str) -> tuple[Any, list[int]]:
    """The values, one a line."""
    items, lines = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"{source}, line {number}"
        try:
            items.append(_json(line, place))
        except _NoJSONError as error:
            cut = "; the file ends here: was it cut short?" if number == text.count("\n") + 1 else ""
            raise AnswersFileError(f"{place}: {error.reason}; expected one JSON value a line{cut}") from None
        lines.append(number)
    return items, lines


def _item_lines(text: str) -> Iterator[int]:
    """The lines of the items of the list that a JSON text is, or that its `answers` is."""
    decoder, at = json.JSONDecoder(), _after_space(text, 0)
    if text[at] == "{":
        at = _after_space(text, at + 1)
        while text[at] != "}":
            key, at = decoder.raw_decode(text, at)
            at = _after_space(text, _after_space(text, at) + 1)  # past the colon
            if key == "answers":
                break
            _, at = decoder.raw_decode(text, at)
            at = _after_space(text, at)
            at = _after_space(text, at + 1) if text[at] == "," else at
    if text[at] != "[":
        return
    line, seen = 1, 0
    at = _after_space(text, at + 1)
    while text[at] != "]":
        line, seen = line + text.count("\n", seen, at), at
        yield line
        _, at = decoder.raw_decode(text, at)
        at = _after_space(text, at)
        at = _after_space(text, at + 1) if text[at] == "," else at


def _after_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _cut(text: str, at: int | None) -> str:
    """What an error at the very end of a text most likely means."""
    return "; the file ends there: was it cut short?" if at is not None and at >= len(text.rstrip()) else ""


# -- writing ---------------------------------------------------------------------------------------------------------------------------


def dump(data: Any) -> str:
    """Plain data as YAML that `load_with_lines` reads as the same data, and every other reader of YAML too."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

        def write_double_quoted(self, text: str, split: bool = True) -> None:  # noqa: FBT001, FBT002  PyYAML's
            self.allow_unicode = _TURNS.search(text) is None
            super().write_double_quoted(text, split)
            self.allow_unicode = True

    def text(dumper: Any, value: str) -> Any:
        quoted = any(pattern.fullmatch(value) for pattern, _ in _PLAIN) or _BREAKS.search(value) or _TURNS.search(value)
        style = '"' if quoted else "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    def number(dumper: Any, value: float) -> Any:
        digits = repr(value) if "." in repr(value) else repr(value).replace("e", ".0e")  # YAML 1.1 takes 1e-06 for a text
        return dumper.represent_scalar("tag:yaml.org,2002:float", digits)

    Dumper.add_representer(str, text)
    Dumper.add_representer(float, number)
    dumped: str = yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
    return dumped
