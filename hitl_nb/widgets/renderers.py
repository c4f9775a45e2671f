"""Renderers of the user's own: which function draws which question. Knows no widget, so that a module with renderers is loaded anywhere."""

from __future__ import annotations

import linecache
import re
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import PurePath
from threading import Lock
from typing import Any, Final, TypeVar

from hitl_nb.decisions.request import Request
from hitl_nb.decisions.wording import cut
from hitl_nb.errors import InvalidAnswerError, RendererError, shown, told
from hitl_nb.responders.kernel import running_shell
from hitl_nb.widgets.markdown import render
from hitl_nb.widgets.tree import h

__all__ = ["Drawing", "escape", "forget_renderer", "h", "markdown", "renderer", "renderers"]

Draw = TypeVar("Draw", bound=Callable[[Request], Any])


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a renderer makes of a question, and how its answer is read."""

    view: Any
    """What to show in place of the payload: a widget, a text, a node of `h`, what `markdown` makes, a picture (a matplotlib figure, a PIL image, a
    `Picture`), or several of these in a list."""
    answer: Callable[[], Any] | None = None
    """Reads the answer off the widgets, and only reads: it is called when the button is pressed, and at other times to see whether it changed.
    It may raise InvalidAnswerError with what is missing; then nothing is sent. None: the buttons and fields stay that the question has anyway."""
    send: str = "Send answer"
    """The words on the button: a verb that says what happens."""
    refuse: Callable[[InvalidAnswerError], None] | None = None
    """Is called with the reason when the answer was not taken, to show it where it is wrong; `error.path` leads to the place in the answer."""


class SafeHtml(str):
    """HTML that can do nothing: `markdown` makes it. Any other text is shown as the text it is."""

    __slots__ = ()


def markdown(text: str) -> SafeHtml:
    r"""The Markdown of an untrusted text as HTML that runs no script and fetches nothing, for a Drawing or for `ipywidgets.HTML`.

    >>> markdown("Ask **Sam**, not <b>Dana</b>.")
    '<div class="hitl-nb-md"><p>Ask <strong>Sam</strong>, not &lt;b&gt;Dana&lt;/b&gt;.</p>\n</div>'
    """
    return SafeHtml(render(text))


@dataclass(frozen=True, slots=True)
class Rule:
    """A renderer and the questions it draws."""

    wants: Callable[[Request], Any]
    draw: Callable[[Request], Any]

    @property
    def name(self) -> str:
        return str(getattr(self.draw, "__name__", type(self.draw).__name__))

    @property
    def key(self) -> tuple[str, str]:
        """By what a renderer is known again when its cell is run again."""
        own = self.draw if hasattr(self.draw, "__qualname__") else type(self.draw)
        return str(self.draw.__module__), own.__qualname__


_TEXT_MAX: Final = 2000
_LINE_MAX: Final = 200
"""Characters of an error's text, and of a line of code, that a card shows."""
_RULES: Final[dict[tuple[str, str], Rule]] = {}
_LOCK: Final = Lock()


def renderer(wants: Callable[[Request], Any]) -> Callable[[Draw], Draw]:
    """Have the decorated function draw the questions that `wants` is true for, in this process.

    Both are called with the request: `request.payload` is what the node asked with, `request.question` has its node, thread and deadline. The
    function returns a Drawing, or only what to show. The first renderer that wants a question draws it, in the order in which they were made known;
    one with the name of an earlier one takes its place, so a cell can be run again. A question that no renderer wants, or whose renderer raises, is
    drawn as always. Nothing is called where nobody looks: on a terminal, or with scripted answers.

    Raises RendererError for what cannot be called, and for a lambda as the decorated function, which has no name to be known by.

    >>> from hitl_nb import Drawing, forget_renderer, h, renderer, renderers
    >>> @renderer(lambda request: request.payload["kind"] == "greeting")
    ... def greeting(request):
    ...     return Drawing(h("p", {}, "Hello ", h("b", {}, request.payload["name"])))
    >>> renderers()[-1] is greeting
    True
    >>> forget_renderer(greeting)  # questions are drawn as always again
    """
    if not callable(wants):
        raise RendererError(f"renderer() takes a function that says which questions it draws, got {shown(wants)}; write @renderer(lambda request: …)")

    def register(draw: Draw) -> Draw:
        if not callable(draw):
            raise RendererError(f"@renderer(…) stands above a function that draws, got {shown(draw)}")
        rule = Rule(wants, draw)
        if rule.name == "<lambda>":
            raise RendererError("a lambda cannot be a renderer: it has no name by which it is replaced when its cell is run again; write a def")
        with _LOCK:
            _RULES[rule.key] = rule
        return draw

    return register


def renderers() -> list[Callable[[Request], Any]]:
    """The functions that draw questions in this process, in the order in which they are asked."""
    with _LOCK:
        return [rule.draw for rule in _RULES.values()]


def forget_renderer(draw: Callable[[Request], Any]) -> None:
    """Have this function draw nothing any more; questions that are drawn already stay as they are. Raises RendererError when it is no renderer."""
    with _LOCK:
        if _RULES.pop(Rule(draw, draw).key, None) is None:
            known = ", ".join(rule.name for rule in _RULES.values()) or "there is none"
            raise RendererError(f"{shown(draw)} is no renderer of this process; known: {known}")


def rule_for(request: Request) -> tuple[Rule | None, list[Trouble]]:
    """The first renderer that wants this question, and what those raised that were asked before it."""
    with _LOCK:
        rules = list(_RULES.values())
    troubles: list[Trouble] = []
    for rule in rules:
        try:
            if rule.wants(request):
                return rule, troubles
        except Exception as error:  # noqa: BLE001  the predicate is the user's
            if not _is_of_another_kind(error, request):
                troubles.append(Trouble(rule, "could not say whether it draws this question", error))
    return None, troubles


def _is_of_another_kind(error: Exception, request: Request) -> bool:
    """`payload["kind"]` of a payload without that key, or of a text: the question is simply not meant. A misspelled `request.paylod` is a mistake."""
    if isinstance(error, AttributeError):
        return error.obj is not request and error.obj is not request.question
    return isinstance(error, LookupError | TypeError)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a renderer raised."""

    rule: Rule
    doing: str
    """`could not draw this question`"""
    error: BaseException

    @property
    def what(self) -> str:
        """`ValueError: 3.5 stars`, not more of it than anybody reads."""
        return cut(told(self.error), _TEXT_MAX)

    @property
    def where(self) -> str:
        """The line of the renderer's own code, `cell 4, line 3: stars = request.payload["star"]`; else the innermost line."""
        frames = list(_frames(self.error))
        own = getattr(getattr(self.rule.draw, "__code__", None), "co_filename", None)
        found = next((f for f in reversed(frames) if f[0] == own), frames[-1] if frames else None)
        if found is None:
            return ""
        file, line = found
        source = linecache.getline(file, line).strip()[:_LINE_MAX]
        return f"{_place(file)}, line {line}{f': {source}' if source else ''}"


def _frames(error: BaseException) -> Iterator[tuple[str, int]]:
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield frame.f_code.co_filename, line


def _place(file: str) -> str:
    """The file's name; of a notebook's cell, whose file nobody knows, its number."""
    if re.search(r"[/\\]ipykernel_\d+[/\\]", file) is None:
        return PurePath(file).name
    number = getattr(getattr(running_shell(), "compile", None), "_filename_map", {}).get(file)
    return f"cell {number}" if number else "a cell"
