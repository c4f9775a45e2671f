"""An answer written in the person's own editor. What was written is kept when it cannot be taken."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import click

from hitl_nb.cli.answer import chosen, refuse_what_is_lost
from hitl_nb.cli.asked import outlined
from hitl_nb.decisions.answering import build_answer
from hitl_nb.decisions.answers.suggestion import sample_answers
from hitl_nb.decisions.answers.values import from_plain
from hitl_nb.decisions.json_text import JsonTextError, read_json
from hitl_nb.decisions.request import Option, Request
from hitl_nb.decisions.wording import as_json, printable
from hitl_nb.errors import HitlError, InvalidAnswerError


def edited(request: Request, choice: str | None, *, comment: str | None, record: Callable[[Any], Any]) -> None:
    """Open the editor, build the answer of what was saved, and record it. JSON that cannot be taken is opened again, with what is wrong in front.

    Raises what `record` raises.
    """
    if not (os.environ.get("VISUAL") or os.environ.get("EDITOR")) and not sys.stdin.isatty():
        raise click.UsageError("--edit opens an editor on a terminal, and here is none; set EDITOR, or give the answer with --text or --value")
    option = _option(request, choice)
    refuse_what_is_lost(request, option, comment=comment, typed=None)
    as_data = not option.edits and request.form.control in ("json", "form", "table", "actions")
    text, notes, wrong = _start(request, as_data=as_data), _notes(request) if as_data else "", ""
    while True:
        saved = click.edit(f"{wrong}{notes}{text}", extension=".json" if as_data or request.form.parse else ".txt")
        if saved is None:
            if wrong:
                _tell_kept(text, as_data=as_data)
            raise click.ClickException("nothing was saved in the editor, so nothing was sent")
        written = _without_notes(saved) if as_data else _without_last_line_end(saved, text)
        try:
            record(_made(request, option, written, comment or "", as_data=as_data))
        except HitlError as error:
            if not isinstance(error, InvalidAnswerError) or not as_data or written == text:
                _tell_kept(written, as_data=as_data)
                raise
            text, wrong = written, _commented(f"Not sent: {error}")
        else:
            return


def _option(request: Request, choice: str | None) -> Option:
    options = request.form.options
    if request.form.control != "buttons" and len(options) == 1:
        if choice is not None:
            raise InvalidAnswerError(f"{choice!r} and --edit: the answer is what you write; leave out {choice!r}")
        return options[0]
    editable = [o for o in options if o.edits]
    option = editable[0] if choice is None and len(editable) == 1 else chosen(request, choice)
    if not option.edits:
        raise InvalidAnswerError(f"{option.label} has no text to edit; leave out --edit")
    return option


def _start(request: Request, *, as_data: bool) -> str:
    form = request.form
    if not as_data:
        return form.subject or ""
    # A table's template is no JSON but two examples, and neither is to be sent by closing the editor.
    return "{}\n" if form.control == "table" else f"{form.template or 'null'}\n"


def _notes(request: Request) -> str:
    told = [request.form.heading, *outlined(request.form)]
    if request.form.control in ("table", "actions"):
        told += ["For example:", *(f"  {as_json(sample)}" for sample in sample_answers(request.question))]
    return _commented("\n".join([*told, "Lines that begin with # are left out. Close without saving to send nothing."]))


def _commented(text: str) -> str:
    return "".join(f"# {line}\n" for line in printable(text).split("\n"))


def _without_notes(saved: str) -> str:
    # A line of JSON never begins with a #: texts have no line ends inside.
    return "\n".join(line for line in saved.strip().split("\n") if not line.lstrip().startswith("#")).strip() + "\n"


def _without_last_line_end(saved: str, before: str) -> str:
    """The text without the line end that editors put behind the last line."""
    return saved if before.endswith("\n") else saved.removesuffix("\n")


def _made(request: Request, option: Option, written: str, comment: str, *, as_data: bool) -> Any:
    if not as_data:
        return build_answer(request.form, option.value, text=written, comment=comment)
    try:
        data = from_plain(read_json(written), "the answer")
    except JsonTextError as error:
        raise InvalidAnswerError(f"this is no JSON. {error}") from None
    return build_answer(request.form, option.value, filled=data, comment=comment)


def _tell_kept(written: str, *, as_data: bool) -> None:
    handle, name = tempfile.mkstemp(prefix="hitl-nb-answer-", suffix=".json" if as_data else ".txt", text=True)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(written)
    click.echo(f"What you wrote is kept in {name}", err=True)
