"""Who answers: scripts, the console, and the order in which they are chosen."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.decisions.answers import read_script
from hitl_nb.decisions.check import check_answer
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.decisions.reviewer import reviewer_name
from hitl_nb.errors import AnswersFileError, InvalidAnswerError, MissingAnswerError
from hitl_nb.responders.choose import choose_front_end
from hitl_nb.responders.console import ConsoleResponder
from hitl_nb.responders.plain import PlainView, wait_by_looking
from hitl_nb.responders.scripted import NobodyResponder, ScriptedResponder

AT = datetime(2026, 1, 1, tzinfo=UTC)


def request(payload: Any = None, **more: Any) -> Request:
    payload = {"question": "Publish?", "options": ["approve", "reject"]} if payload is None else payload
    asked = {"id": "q1", "thread_id": "t", "node": "review", "task_id": "k", "position": 0, "digest": "d", "payload": payload, "created_at": AT}
    q = Question(**{**asked, **more})
    return Request(q, form_for(q, reviewer="dana"))


class Desk:
    """Takes answers as a session does: checked, once."""

    def __init__(self, asked: Request) -> None:
        self.asked = asked
        self.taken: list[tuple[Any, str | None]] = []

    def __call__(self, answer: Any, *, reviewer: str | None = None) -> Decision:
        self.taken.append((check_answer(self.asked.question, answer), reviewer))
        return Decision("q1", "t", "review", 0, answer, reviewer or "dana", AT, "test")


class Terminal:
    """A person's typing, line by line, and what the terminal showed."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.shown: list[str] = []

    def read(self, prompt: str) -> str:
        self.shown.append(prompt)
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)

    def ask(self, asked: Request) -> list[Any]:
        desk = Desk(asked)
        ConsoleResponder(read=self.read, write=self.shown.append).ask(asked, desk)
        assert not self.lines, "the person typed more than was asked"
        return [answer for answer, _ in desk.taken]

    @property
    def text(self) -> str:
        return "\n".join(self.shown)


# -- scripted --------------------------------------------------------------------------------------------------------------------------


def test_a_script_answers_with_the_entry_that_fits_and_its_reviewer():
    desk = Desk(request())
    ScriptedResponder(read_script([{"answer": "approve", "by": "sam"}])).ask(desk.asked, desk)
    assert desk.taken == [("approve", "sam")]


def test_a_question_that_no_entry_fits_fails_with_the_lines_to_add():
    with pytest.raises(MissingAnswerError, match=r"asks 'Publish\?', and no unused entry of answers= fits") as caught:
        ScriptedResponder(read_script({"other": "approve"})).ask(request(), Desk(request()))
    assert caught.value.suggestion in str(caught.value)
    assert (caught.value.thread_id, caught.value.node, caught.value.interrupt_id) == ("t", "review", "q1")


def test_leave_open_is_said_in_the_call_or_in_the_file():
    for responder in (
        ScriptedResponder(read_script([]), on_missing="leave_open"),
        ScriptedResponder(read_script({"answers": [], "on_missing": "leave_open"})),
        NobodyResponder(on_missing="leave_open"),
    ):
        desk = Desk(request())
        responder.ask(desk.asked, desk)
        assert desk.taken == []
    with pytest.raises(MissingAnswerError, match="no person can be asked here"):
        NobodyResponder().ask(request(), Desk(request()))


def test_a_scripted_answer_that_does_not_fit_names_its_place_and_is_not_used_up():
    responder = ScriptedResponder(read_script("- aprove\n"))
    with pytest.raises(InvalidAnswerError, match=r"answers=, line 1: .*did you mean 'approve'"):
        responder.ask(request(), Desk(request()))
    assert responder.script.entries[0].used == 0


# -- console ---------------------------------------------------------------------------------------------------------------------------


def test_the_console_takes_a_number_or_the_word_and_asks_again_for_anything_else():
    assert Terminal("1").ask(request()) == ["approve"]
    assert Terminal("Reject").ask(request()) == ["reject"]
    terminal = Terminal("3", "", "yes", "2")
    assert terminal.ask(request()) == ["reject"]
    assert "'3' is none of them; type a number from 1 to 2" in terminal.text


def test_the_console_never_takes_the_place_of_an_option_for_an_option_that_is_a_number():
    asked = request({"question": "How good?", "options": ["3", "2", "1"]})
    assert Terminal("1").ask(asked) == ["1"]
    assert Terminal("3").ask(asked) == ["3"]
    both = request({"question": "Sure?", "options": ["Yes", "yes"]})
    assert Terminal("yes").ask(both) == ["yes"]
    assert Terminal("YES", "2").ask(both) == ["yes"]


def test_a_terminal_that_lacks_a_character_shows_an_escape(monkeypatch: pytest.MonkeyPatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    asked = request({"question": "Publish → now?", "options": ["yes"]})
    PlainView().decided(asked, Desk(asked)("yes"))
    sys.stdout.flush()
    assert rb"Publish \u2192 now?" in raw.getvalue()


def test_the_console_shows_question_facts_and_draft_and_takes_an_edit_of_several_lines():
    asked = request({"action": "review", "draft": "one\ntwo", "topic": "tea", "options": ["approve", "edit", "reject"]})
    terminal = Terminal("edit", "three", "", "four", ".", "")
    assert terminal.ask(asked) == [{"action": "edit", "edited_text": "three\n\nfour"}]
    for shown in ("Review the draft", "Topic  tea", "  | one\n  | two", "2. Edit"):
        assert shown in terminal.text


def test_the_console_takes_a_comment_and_insists_where_it_is_needed():
    asked = request({"action": "review_and_refine", "draft": "d"})
    terminal = Terminal("refine", " ", "refine", "shorter")
    assert terminal.ask(asked) == [{"action": "refine", "feedback": "shorter", "comments": "shorter"}]
    assert "Not sent: Refine needs a comment" in terminal.text


def test_the_console_reads_text_json_amendments_and_enter():
    assert Terminal("Alice").ask(request({"question": "Name?"})) == ["Alice"]
    assert Terminal("{", ".", '{"a":', "1}", ".").ask(request({"x": 1})) == [{"a": 1}]
    assert Terminal("").ask(request({"node": "n", "when": "before"}, kind="static")) == [True]
    risk = request({"risk_score": 0.9, "options": ["approve", "amend"]})
    assert Terminal("amend", "cap it", "date it", ".").ask(risk) == [{"decision": "amend", "amendments": ["cap it", "date it"]}]


def test_the_console_asks_again_when_the_schema_refuses():
    terminal = Terminal("abc", "abcdef")
    assert terminal.ask(request("Code?", schema={"type": "string", "minLength": 5})) == ["abcdef"]
    assert "'abc' is too short" in terminal.text


def test_the_end_of_input_leaves_the_question_open():
    terminal = Terminal()
    assert terminal.ask(request()) == []
    assert terminal.shown[-1] == "Left open."


def test_a_payload_cannot_drive_the_terminal():
    terminal = Terminal("1")
    terminal.ask(request({"question": "Go\x1b[2J?", "note": "a\x07\x9bb", "options": ["approve"]}))
    assert "\x1b" not in terminal.text
    assert "\x07" not in terminal.text
    assert "\x9b" not in terminal.text


def test_the_plain_view_prints_one_line_a_decision():
    shown: list[str] = []
    answer = {"action": "edit", "edited_text": "x" * 404}
    PlainView(write=shown.append).decided(
        request({"question": "Publish\x1b[2J?\nnow"}), Decision("q1", "t", "review", 0, answer, "dana", AT, "script")
    )
    assert shown == ['Publish�[2J? {"action": "edit", "edited_text": "… 404 characters"}, by dana (script)']


# -- choosing --------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", made)
    monkeypatch.delenv("HITL_NB_ANSWERS", raising=False)
    return made


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def source(**given: Any) -> str:
    responder = choose_front_end(**given).responder
    return responder.script.source if isinstance(responder, ScriptedResponder) else type(responder).__name__


def test_the_first_there_is_of_responder_answers_parameter_environment_console_answers(main: ModuleType, monkeypatch: pytest.MonkeyPatch):
    assert source() == "NobodyResponder"
    monkeypatch.setattr(sys, "stdin", Tty())
    assert source() == "NobodyResponder", "both ends must be a terminal"
    monkeypatch.setattr(sys, "stdout", Tty())
    assert source() == "ConsoleResponder"
    monkeypatch.setenv("HITL_NB_ANSWERS", '["from the environment"]')
    assert source() == "HITL_NB_ANSWERS"
    main.hitl_answers = ["from the parameter"]
    assert source() == "hitl_answers"
    assert source(answers=["given"]) == "answers="
    own = NobodyResponder()
    assert choose_front_end(responder=own, answers=["given"]).responder is own


def test_a_script_that_says_ask_has_whoever_sits_here_decide_what_changed(main: ModuleType, monkeypatch: pytest.MonkeyPatch):
    payload, taped = {"question": "Publish?", "options": ["approve", "reject"]}, {"answer": "approve", "payload": "blake2b:of another payload"}
    monkeypatch.setattr(sys, "stdin", Tty("reject\n"))
    monkeypatch.setattr(sys, "stdout", Tty())
    responder = choose_front_end(answers={"on_change": "ask", "answers": [taped]}).responder
    desk, told = Desk(request(payload)), []

    def submit(answer: Any, *, reviewer: str | None = None, how: str | None = None) -> Decision:
        told.append(how)
        return desk(answer, reviewer=reviewer)

    responder.ask(desk.asked, submit)
    assert ([answer for answer, _ in desk.taken], told, responder.answers_later) == (["reject"], ["console"], False)
    assert choose_front_end(answers={"on_change": "fail", "answers": [taped]}).responder.answers_later is False


def test_a_parameter_that_is_none_and_an_empty_variable_count_as_not_given(main: ModuleType, monkeypatch: pytest.MonkeyPatch):
    main.hitl_answers = None
    monkeypatch.setenv("HITL_NB_ANSWERS", "")
    assert source() == "NobodyResponder"


def test_an_empty_list_is_given_and_answers_nothing(main: ModuleType):
    assert source(answers=[]) == "answers="


def test_an_unreadable_answers_file_fails_when_it_is_chosen(main: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HITL_NB_ANSWERS", "no-such-file.yaml")
    with pytest.raises(AnswersFileError, match=r"HITL_NB_ANSWERS names the answers file 'no-such-file.yaml'"):
        choose_front_end()


def test_looking_ends_when_it_is_ready_or_the_time_is_over():
    left = [False, False, True]
    assert wait_by_looking(lambda: left.pop(0), None) is True
    assert wait_by_looking(lambda: False, 0.0) is False


def test_the_reviewer_is_the_given_name_else_the_hub_user_else_the_login(monkeypatch: pytest.MonkeyPatch):
    for name in ("JUPYTERHUB_USER", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOGNAME", "login")
    assert reviewer_name() == "login"
    monkeypatch.setenv("JUPYTERHUB_USER", "hub")
    assert (reviewer_name(), reviewer_name("given"), reviewer_name("  ")) == ("hub", "given", "hub")


def test_a_user_id_without_a_name_is_unknown_and_no_error(monkeypatch: pytest.MonkeyPatch):
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.delenv("JUPYTERHUB_USER", raising=False)
    monkeypatch.setattr("getpass.getuser", nobody)
    assert reviewer_name() == "unknown"
