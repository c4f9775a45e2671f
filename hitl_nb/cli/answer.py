"""`hitl-nb answer`: one question answered on a command line, or all that are open one by one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from hitl_nb.cli.asked import filter_options, filters_of, find_question, is_a_line, name_of, ways
from hitl_nb.cli.common import REVIEWER_DEFAULT, json_option, opened, print_json, store_option, told
from hitl_nb.cli.completing import complete_questions

if TYPE_CHECKING:
    from hitl_nb.checkpoint.base import Checkpointer
    from hitl_nb.checkpoint.records import Decision
    from hitl_nb.checkpoint.voting import Vote
    from hitl_nb.decisions.request import Option, Request

_OPEN_FILTERS: Final = {"graph": None, "node": None, "assignee": None, "thread": None, "overdue": False, "words": "", "sort": "deadline"}


@click.command(
    short_help="Answer a question, or all that are open.",
    epilog="Exit codes: 0 recorded, with --interactive all of them; 1 not taken, nothing was recorded; 2 wrong usage, or no terminal to ask on; "
    "75 asked on the terminal, and left open.",
)
@click.argument("ref", metavar="[ID]", required=False, shell_complete=complete_questions)
@click.argument("choice", metavar="[ANSWER]", required=False)
@click.option("--comment", metavar="TEXT", help="Why; or, where the question offers it, what to change. @FILE reads a file, - standard input.")
@click.option("--text", "typed", metavar="TEXT", help="The text that is asked for, or the edited one. @FILE reads a file, - standard input.")
@click.option("--value", metavar="JSON", help="The answer exactly, as JSON. @FILE reads a file, - standard input.")
@click.option("--edit", is_flag=True, help="Write the answer in your editor ($VISUAL, $EDITOR), beginning with the draft, or the fields of a form.")
@click.option("--reviewer", metavar="NAME", help=f"Who answers. {REVIEWER_DEFAULT}")
@click.option("-i", "--interactive", is_flag=True, help="Ask the open questions here, one by one. The options below say which.")
@filter_options()
@store_option
@json_option
@told
def answer(
    ref: str | None,
    choice: str | None,
    store: Path,
    *,
    comment: str | None,
    typed: str | None,
    value: str | None,
    edit: bool,
    reviewer: str | None,
    interactive: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Answer the question ID. The answer is checked and recorded; the graph does not run here: whoever runs its thread next goes on with it.

    ANSWER is one of the options, by its label or its value; of a question for a text or a number the text or the number. A word that is no option is
    refused, never guessed. `hitl-nb show ID` lists what can be answered. On a terminal, ID alone asks there.

    \b
    hitl-nb answer 3fa2b1c4 approve --comment "Sources are fine"
    hitl-nb answer 3fa2b1c4 edit --text @draft.md
    hitl-nb answer 3fa2b1c4 --value '{"amount": 120, "reason": "late"}'
    hitl-nb answer --interactive --assignee ann
    """  # noqa: D301  click reads the escape
    from hitl_nb.decisions.requesting import request_for
    from hitl_nb.decisions.reviewer import reviewer_name

    named = [
        option
        for option, there in (("ANSWER", choice), ("--comment", comment), ("--text", typed), ("--value", value), ("--edit", edit or None))
        if there is not None
    ]
    name = reviewer_name(reviewer)
    if interactive:
        if ref is not None or named or as_json:
            others = ", ".join([*(["ID"] if ref is not None else []), *named, *(["--json"] if as_json else [])])
            raise click.UsageError(f"--interactive asks for the answers; leave out {others}")
        _ask_all(store, given, name)
        return
    if ref is None:
        raise click.UsageError("name the question: hitl-nb answer ID (hitl-nb pending lists them), or --interactive to be asked all of them")
    if filtered := [f"--{'search' if key == 'words' else key}" for key, none in _OPEN_FILTERS.items() if given[key] != none]:
        raise click.UsageError(f"{', '.join(filtered)}: only with --interactive; ID names the question already")
    if value is not None and len(named) > 1:
        raise click.UsageError(f"--value is the whole answer; leave out {', '.join(n for n in named if n != '--value')}")
    if typed is not None and edit:
        raise click.UsageError("--text and --edit: choose one")
    if [comment, typed, value].count("-") > 1:
        raise click.UsageError("standard input can be read once: give - to one option only")
    saver = opened(store)
    request = request_for(saver, find_question(saver, ref), reviewer=name)
    saver.require_open(request.question.thread_id, request.question.id)
    if not named:
        _ask_one(saver, request, name, as_json=as_json)
        return
    if edit:
        from hitl_nb.cli.editing import edited

        edited(request, choice, comment=_read(comment, "--comment"), record=lambda made: _record(saver, request, made, name, as_json=as_json))
        return
    made = _built(request, choice, comment=_read(comment, "--comment"), typed=_read(typed, "--text"), value=value)
    _record(saver, request, made, name, as_json=as_json)


def _ask_all(store: Path, given: dict[str, Any], reviewer: str) -> None:
    from hitl_nb.cli.dialogue import Dialogue, require_terminal

    require_terminal("--interactive asks on a terminal, and here is none. To answer from a script: hitl-nb answer ID ANSWER")
    sort = given.pop("sort")
    sys.exit(Dialogue(opened(store), reviewer).run(filters_of(given), sort))


def _ask_one(saver: Checkpointer, request: Request, reviewer: str, *, as_json: bool) -> None:
    from hitl_nb.cli.dialogue import ask_here, require_terminal

    commands = "\n".join(f"  {command}" for command, _ in ways(request, name_of(saver, request.question.id)))
    require_terminal(f"say what the answer is (here is no terminal to ask on):\n{commands}")
    ask_here(request, lambda made: _record(saver, request, made, reviewer, as_json=as_json))


def _record(saver: Checkpointer, request: Request, made: Any, reviewer: str, *, as_json: bool) -> Decision | Vote:
    """The decision or the vote; says what became of the answer."""
    from hitl_nb.checkpoint.records import utc_now
    from hitl_nb.cli.asked import HOW, recorded
    from hitl_nb.cli.plain import plain_decision
    from hitl_nb.decisions.wording import printable
    from hitl_nb.waiting import record_answer

    decision = record_answer(saver, request.question, made, reviewer=reviewer, how=HOW, now=utc_now())
    try:
        if as_json:
            print_json(plain_decision(decision))
        else:
            click.echo(printable("\n".join(recorded(request, decision))))
    except OSError as error:  # whoever takes it for not recorded would answer twice
        click.echo(f"The answer is recorded, but that cannot be printed: {error}", err=True)
    return decision


def _built(request: Request, choice: str | None, *, comment: str | None, typed: str | None, value: str | None) -> Any:
    """The answer that the command line says. Raises InvalidAnswerError."""
    from hitl_nb.checkpoint.records import UNSET
    from hitl_nb.decisions.answering import build_answer
    from hitl_nb.decisions.answers.values import from_plain
    from hitl_nb.decisions.fields.scalars import UnreadableError, said_value
    from hitl_nb.decisions.json_text import JsonTextError, read_json
    from hitl_nb.errors import InvalidAnswerError

    form, filled = request.form, UNSET
    if value is not None:
        try:
            return from_plain(read_json(str(_read(value, "--value"))), "--value")
        except JsonTextError as error:
            raise InvalidAnswerError(f"--value is no JSON. {error} A text stands in quotes of its own: --value '\"…\"'") from None
    if form.control == "buttons" or len(form.options) > 1:
        option = chosen(request, choice)
    else:
        option = form.options[0]
        if choice is not None and typed is not None:
            raise click.UsageError("ANSWER and --text: give the text once")
        if is_a_line(form) and form.root is not None and (said := _read(choice, "ANSWER") if choice is not None else typed) is not None:
            try:
                filled, typed = said_value(form.root, said), None
            except UnreadableError as error:
                raise InvalidAnswerError(f"{said!r} is no answer to this question. {error}") from None
        elif form.control == "text" and choice is not None:
            typed = _read(choice, "ANSWER")
        elif choice is not None:
            raise InvalidAnswerError(f"{choice!r} is no answer to this question: it takes {_takes(request)}")
    refuse_what_is_lost(request, option, comment=comment, typed=typed)
    return build_answer(form, option.value, text=typed, filled=filled, comment=comment or "")


def chosen(request: Request, choice: str | None) -> Option:
    """The option that is called so. Raises InvalidAnswerError, with what there is; nothing is guessed."""
    from hitl_nb.decisions.saying import how_to_say, nearest, option_said
    from hitl_nb.errors import InvalidAnswerError

    options = request.form.options
    option = None if choice is None else option_said(options, choice)
    if option is None:
        known = ", ".join(how_to_say(o, options) or o.label for o in options)
        if choice is None:
            raise InvalidAnswerError(f"which option? Say one of: {known}")
        close = nearest(options, choice)
        meant = f". Did you mean {close!r}?" if close else ""
        raise InvalidAnswerError(f"{choice!r} is no option of this question; expected one of: {known}{meant}")
    return option


def refuse_what_is_lost(request: Request, option: Option, *, comment: str | None, typed: str | None) -> None:
    """Raise InvalidAnswerError for a comment or a text that the answer has no place for."""
    from hitl_nb.errors import InvalidAnswerError

    form = request.form
    if comment and not form.comment and not option.needs_comment:
        raise InvalidAnswerError("this question takes no comment, so it would be lost; leave out --comment", path=["comment"])
    if typed is not None and not option.edits and form.shape != "text":
        edits = next((f", or choose {o.label}" for o in form.options if o.edits), "")
        raise InvalidAnswerError(f"{option.label} sends no text, so it would be lost; leave out --text{edits}", path=["text"])


def _takes(request: Request) -> str:
    return "a text (--text, --edit)" if request.form.control == "editor" else "JSON (--value, --edit)"


def _read(given: str | None, option: str) -> str | None:
    """What an option says, or the file or the standard input that it names; @@ stands for an @ in front."""
    if given is None or (given != "-" and not given.startswith("@")):
        return given
    if given.startswith("@@"):
        return given[1:]
    try:
        raw = sys.stdin.buffer.read() if given == "-" else Path(given[1:]).expanduser().read_bytes()
        if given == "-" and not raw:  # what comes of a command in front that failed; an answer counts for good
            raise click.UsageError(f"{option}: standard input is empty, so nothing was sent. For an empty text give it so: --text ''")
        return raw.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        source = "standard input" if given == "-" else given[1:]
        why = "it is not in UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror or error
        raise click.UsageError(f"{option}: {source} cannot be read: {why}") from None
