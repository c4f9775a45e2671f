"""Scripted answers: a list, a mapping by node, or an answers file, and which of them fits a question."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Literal, get_args

from hitl_nb.checkpoint.records import Question
from hitl_nb.decisions.answering import build_answer
from hitl_nb.decisions.check import check_answer
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.plain_yaml import load_with_lines
from hitl_nb.decisions.rows.answer import short_answers
from hitl_nb.errors import AnswersFileError, InvalidAnswerError

OnMissing = Literal["fail", "leave_open"]
_ENTRY_KEYS: Final = ("thread", "node", "key", "when", "answer", "times", "by")
_FILE_KEYS: Final = ("answers", "on_missing")
_ENTRY_ONLY: Final = frozenset({"thread", "node", "when", "times", "by"})
Shape = Literal["entries", "list", "nodes"]
_EXPECTED: Final = "expected a list of answers, a mapping of nodes to answers, or a mapping with `answers:`, a list of entries with `answer:` each"


@dataclass(slots=True)
class Entry:
    """One scripted answer, and which questions it fits."""

    answer: Any
    place: str
    """Where it was written, for messages: `answers.yaml, line 4`."""
    thread: str | None = None
    node: str | None = None
    key: str | None = None
    when: Mapping[str, Any] = field(default_factory=dict)
    times: int | None = 1
    """How many questions it may answer; None: any number."""
    by: str | None = None
    in_order: bool = False
    """Written without conditions of its own, in a list: for the question at its place."""
    used: int = 0

    def fits(self, question: Question) -> bool:
        """True when it is not used up and every condition holds."""
        return (
            (self.times is None or self.used < self.times)
            and (self.thread is None or fnmatchcase(question.thread_id, self.thread) or question.thread_id == self.thread)
            and (self.node is None or self.node == question.node)
            and (self.key is None or self.key == question.key)
            and (not self.when or (isinstance(question.payload, Mapping) and all(_equal(question.payload, k, v) for k, v in self.when.items())))
        )


def _equal(payload: Mapping[Any, Any], key: str, wanted: Any) -> bool:
    if key not in payload:
        return False
    value = payload[key]
    return bool(isinstance(value, bool) == isinstance(wanted, bool) and type(value == wanted) is bool and value == wanted)


@dataclass(slots=True)
class Script:
    """The scripted answers of one run, in order. The first entry that fits a question answers it."""

    entries: list[Entry]
    on_missing: OnMissing = "fail"
    source: str = "answers="
    shape: Shape = "entries"
    """How it was written: entries below `answers:`, a list in order, or by node."""

    def entry_for(self, question: Question) -> Entry | None:
        """The entry that answers this question, or None. The caller adds 1 to its `used` once the answer was taken."""
        return next((e for e in self.entries if e.fits(question)), None)

    def recall(self, question: Question, answer: Any, *, scripted: bool = True) -> None:
        """Take note of an answer the thread has already, so that a run that is repeated goes on where it stopped. In the order of the decisions.

        Of answers in order (a list, or a node's list) each belongs to the question at its place, whoever decided that: none ever moves up to
        another question. An entry with conditions is used up when a script gave this very answer in an earlier run.
        """
        entry = self.entry_for(question)
        if entry is None:
            return
        if entry.in_order:
            entry.used += 1
            return
        if not scripted:
            return
        try:
            same = check_answer(question, entry.answer) == answer
        except InvalidAnswerError:
            return
        if same is True:
            entry.used += 1

    def unused(self, thread_id: str) -> list[Entry]:
        """The entries for this thread that answered nothing."""
        return [e for e in self.entries if not e.used and (e.thread is None or fnmatchcase(thread_id, e.thread))]


# -- reading ---------------------------------------------------------------------------------------------------------------------------


def read_script(given: Any, *, source: str = "answers=") -> Script:
    """The script of a list, a mapping, a path to a YAML or JSON file, or the text of one (a text with a line break, or that starts with [ or {).

    Raises AnswersFileError, which names the file and line, before anything runs.
    """
    if isinstance(given, (str, Path)):
        text, source = _text_of(given, source)
        data, lines = load_with_lines(text, source)
    else:
        data, lines = given, []
    if isinstance(data, Mapping) and "answers" in data:
        return _file(data, lines, source)
    if isinstance(data, (list, tuple)):
        return Script(_entries(data, lines, source), source=source, shape="list")
    if isinstance(data, Mapping):
        return Script(_by_node(data, source), source=source, shape="nodes")
    raise AnswersFileError(f"{source} is {data!r:.80}; {_EXPECTED}")


def _text_of(given: str | Path, source: str) -> tuple[str, str]:
    if isinstance(given, str) and ("\n" in given or given.lstrip()[:1] in ("[", "{")):
        return given, source
    path = Path(given).expanduser()
    try:
        return path.read_text(encoding="utf-8"), str(given)
    except FileNotFoundError:
        raise AnswersFileError(
            f"{source} names the answers file {str(given)!r}, which does not exist in {Path.cwd()}. To give one answer itself, put it in a list: "
            f"[{str(given)!r}]"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise AnswersFileError(f"{source} names the answers file {str(given)!r}, which cannot be read: {error}") from None


def _file(data: Mapping[Any, Any], lines: list[int], source: str) -> Script:
    _known_keys(data, _FILE_KEYS, source)
    on_missing = data.get("on_missing", "fail")
    if on_missing not in get_args(OnMissing):
        raise AnswersFileError(f"{source}: on_missing is {on_missing!r}; expected fail or leave_open")
    if not isinstance(data["answers"], (list, tuple)):
        raise AnswersFileError(f"{source}: answers is {data['answers']!r:.80}; expected a list of entries")
    return Script(_entries(data["answers"], lines, source), on_missing, source)


def _entries(items: Iterable[Any], lines: list[int], source: str) -> list[Entry]:
    items = list(items)
    spelled = [isinstance(i, Mapping) and "answer" in i for i in items]
    places = [f"{source}, line {lines[n]}" if n < len(lines) else f"{source}, entry {n + 1}" for n in range(len(items))]
    for place, item in zip(places, items, strict=True):
        if isinstance(item, Mapping) and "answer" not in item and _is_meant_as_entry(item):
            raise AnswersFileError(f"{place} is {item!r:.80}, without `answer:`; write it as {{answer: …}}, be it an entry or an answer")
    if not any(spelled):
        return [Entry(item, place, in_order=True) for item, place in zip(items, places, strict=True)]
    if not all(spelled):
        n = spelled.index(False)
        raise AnswersFileError(f"{places[n]} is {items[n]!r:.80}, without `answer:`, among entries that have one; write it as {{answer: …}}")
    return [_entry(item, place) for item, place in zip(items, places, strict=True)]


def _is_meant_as_entry(item: Mapping[Any, Any]) -> bool:
    """A misspelled entry must not be recorded as if it were an answer."""
    return bool(_ENTRY_ONLY & item.keys() or difflib.get_close_matches("answer", map(str, item), n=1, cutoff=0.8))


def _entry(item: Mapping[Any, Any], place: str) -> Entry:
    _known_keys(item, _ENTRY_KEYS, place)
    for name in ("thread", "node", "key", "by"):
        if item.get(name) is not None and not isinstance(item[name], str):
            raise AnswersFileError(f"{place}: {name} is {item[name]!r}; expected a text")
    when = item.get("when") or {}
    if not isinstance(when, Mapping):
        raise AnswersFileError(f"{place}: when is {when!r:.80}; expected a mapping of payload keys to values")
    times = item.get("times", 1)
    if times != "always" and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
        raise AnswersFileError(f"{place}: times is {times!r}; expected 1 or more, or always")
    return Entry(
        item["answer"], place, item.get("thread"), item.get("node"), item.get("key"), when, None if times == "always" else times, item.get("by")
    )


def _by_node(data: Mapping[Any, Any], source: str) -> list[Entry]:
    made = []
    for node, answers in data.items():
        if not isinstance(node, str):
            raise AnswersFileError(f"{source} has the key {node!r}; expected the name of a node")
        in_order = list(answers) if isinstance(answers, (list, tuple)) else [answers]
        made += [Entry(answer, f"{source}, {node}[{n}]", node=node, in_order=True) for n, answer in enumerate(in_order)]
    return made


def _known_keys(item: Mapping[Any, Any], known: tuple[str, ...], place: str) -> None:
    for key in item:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            raise AnswersFileError(f"{place}: unknown key {key!r}{f', did you mean {near[0]!r}?' if near else ''}; expected {', '.join(known)}")


# -- what to add -----------------------------------------------------------------------------------------------------------------------


def suggestion(question: Question, script: Script | None = None) -> str:
    """The YAML lines that would answer this question: the first option, the others as comments.

    Without a script they are a valid answers file; with one they are in its shape, to be added to it.
    """
    samples = [json.dumps(sample, ensure_ascii=False) for sample in _samples(question)]
    about = f"# {_one_line(form_for(question, reviewer='').heading)}"
    shape = script.shape if script else "entries"
    if shape == "list":
        return "\n".join([about, *(f"{'- ' if n == 0 else '# or: '}{sample}" for n, sample in enumerate(samples))])
    if shape == "nodes":
        return "\n".join([f"{_scalar(question.node)}:  {about}", *(f"  {'- ' if n == 0 else '# or: '}{sample}" for n, sample in enumerate(samples))])
    lines = [] if script else ["answers:"]
    lines.append(f"  - node: {_scalar(question.node)}  {about}")
    if question.key is not None:
        lines.append(f"    key: {_scalar(question.key)}")
    lines += [f"    {'answer' if n == 0 else '# or'}: {sample}" for n, sample in enumerate(samples)]
    return "\n".join(lines)


def _samples(question: Question) -> list[Any]:
    """An answer for each option."""
    form = form_for(question, reviewer="")
    if form.control == "table":
        return short_answers(question.payload)
    samples = []
    for option in form.options:
        text = (form.template or "null") if form.control in ("json", "form") else '"…"' if form.parse else "…"
        needs = option.edits or form.shape == "text"
        samples.append(build_answer(form, option.value, text=text if needs else None, comment="…" if option.needs_comment else ""))
    return samples


def _scalar(text: str) -> str:
    return text if text.isidentifier() and text.lower() not in ("true", "false", "null") else json.dumps(text, ensure_ascii=False)


def _one_line(text: str) -> str:
    """Safe inside a YAML comment: one line, nothing that a parser or a terminal would act on."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= 100 else line[:100] + "…"
