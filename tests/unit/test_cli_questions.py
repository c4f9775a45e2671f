"""`hitl-nb pending`, `show`, `answer`, `expire` and `history`: open questions read and answered on a command line, without their graphs."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, TypedDict

import pytest
from click.testing import CliRunner
from pydantic import BaseModel, Field

from hitl_nb import Command, DiskCacheSaver, StateGraph, interrupt
from hitl_nb.cli import main
from hitl_nb.cli.dialogue import Dialogue
from hitl_nb.waiting import Filters


class Refund(BaseModel):
    amount: float = Field(ge=0, le=500, description="in euro")
    reason: Literal["late", "broken"]
    note: str = ""


class State(TypedDict, total=False):
    kind: str
    answer: Any


QUESTIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "options": ({"question": "Publish?", "options": ["approve", "reject"], "topic": "Tea"}, {"assignee": "ann"}),
    "draft": ({"action": "review_draft", "draft": "old\nwords", "options": ["approve", "edit", "reject"]}, {}),
    "form": ({"question": "Refund?", "order": 12}, {"schema": Refund}),
    "text": ({"question": "Which title?"}, {}),
    "number": ({"question": "How many?"}, {"schema": int}),
    "yes": ("Go on?", {}),
    "json": ({"anything": 1}, {}),
    "rows": ({"question": "Which?", "rows": [{"a": 1, "b": 2}, {"a": 2, "b": 3}]}, {}),
    "edit": ({"action": "edit_content", "original": "# Title\nold"}, {}),
    "late": ({"question": "Still in time?", "options": ["yes", "no"]}, {"deadline": timedelta(hours=1), "escalate_to": "bo", "assignee": "ann"}),
    "default": ({"question": "Archive?", "options": ["yes", "no"]}, {"deadline": timedelta(hours=1), "default": "no"}),
}


def ask(state: State) -> State:
    payload, more = QUESTIONS[state["kind"]]
    return {"answer": interrupt(payload, **more)}


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Asks the questions named, each on a thread of its own, two hours ago."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HITL_NB_STORE", raising=False)
    for variable in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(variable, raising=False)
    saver = DiskCacheSaver(tmp_path / "reviews")
    graph = (
        StateGraph(State).add_node("ask", ask).set_entry_point("ask").compile(saver, name="demo", now=lambda: datetime.now(UTC) - timedelta(hours=2))
    )

    def begin(*kinds: str) -> Any:
        for kind in kinds:
            graph.invoke({"kind": kind}, config(kind))
        return graph

    yield begin
    saver.close()


def config(kind: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": kind}}


def run(*arguments: str, code: int = 0, **more: Any) -> Any:
    result = CliRunner().invoke(main, list(arguments), **{"prog_name": "hitl-nb", **more})
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def listed(*options: str) -> list[dict[str, Any]]:
    return json.loads(run("pending", "--json", *options).stdout)


def id_of(kind: str) -> str:
    [found] = listed("--thread", kind)
    return found["id"][:8]


def answered(graph: Any, kind: str) -> Any:
    """What the graph makes of the answer when it goes on."""
    return graph.invoke(None, config(kind))["answer"]


# -- pending -------------------------------------------------------------------------------------------------------------------------------


def test_pending_lists_what_is_open_with_the_first_deadline_first(asked):
    graph = asked("text", "options", "late")
    graph.invoke(Command(resume="A title"), config("text"))
    lines = run("pending").stdout.splitlines()
    late, options = listed()
    since, due = (f"{datetime.fromisoformat(late[key]):%Y-%m-%d %H:%M}".split() for key in ("since", "deadline"))
    assert [line.split() for line in (lines[0], *lines[2:4])] == [
        ["id", "thread", "node", "question", "assignee", "since", "deadline"],
        [late["id"][:8], "late", "ask", "Still", "in", "time?", "ann", *since, *due, "overdue"],
        [options["id"][:8], "options", "ask", "Publish?", "ann", *f"{datetime.fromisoformat(options['since']):%Y-%m-%d %H:%M}".split()],
    ]
    assert lines[-1] == "2 open questions, 1 overdue. Times are UTC."


def test_pending_filters_and_sorts(asked):
    asked("text", "options", "late")

    def threads(*options):
        return [q["thread_id"] for q in listed(*options)]

    assert threads("--sort", "age") == ["text", "options", "late"]
    assert threads() == ["late", "text", "options"]
    assert threads("--overdue") == ["late"]
    assert threads("--assignee", "ann", "--text", "TEA") == threads("--assignee", "ann", "--search", "tea") == ["options"]
    assert threads("--assignee", "") == threads("--thread", "t*") == ["text"]
    assert threads("--graph", "other") == threads("--node", "other") == []
    assert run("pending", "--node", "other").stdout == "No open question fits; without filters there are 3.\n"


def test_an_open_question_as_json_says_all_that_a_listing_knows(asked):
    asked("late")
    [late] = listed()
    since = datetime.fromisoformat(late["since"])
    assert late == {
        "id": late["id"], "thread_id": "late", "graph": "demo", "node": "ask", "question": "Still in time?", "assignee": "ann",
        "since": late["since"], "deadline": (since + timedelta(hours=1)).isoformat(), "overdue": True,
        "escalate_to": "bo", "escalated_from": None, "has_default": False, "four_eyes": [], "quorum": 1,
    }  # fmt: skip


def test_nothing_open_is_no_error(asked):
    asked("options").invoke(Command(resume="approve"), config("options"))
    assert run("pending").stdout == "No question is open.\n"
    assert listed() == []


# -- show ----------------------------------------------------------------------------------------------------------------------------------


def test_show_tells_the_question_and_the_commands_that_answer_it(asked):
    asked("draft", "options")
    name = id_of("draft")
    assert run("show", name).stdout.splitlines()[2:] == [
        "",
        "Draft:",
        "  | old",
        "  | words",
        "",
        "Answer it with one of these:",
        f'  hitl-nb answer {name} approve      with --comment "…" to say why',
        f"  hitl-nb answer {name} edit --edit  opens the draft in your editor; or --text @FILE",
        f'  hitl-nb answer {name} reject       with --comment "…" to say why',
    ]
    shown = run("show", id_of("options").upper(), "--store", "reviews", prog_name="jupyter hitl").stdout
    assert "Assignee: ann" in shown
    assert f"jupyter hitl answer {id_of('options')} approve --store reviews\n" in shown


def test_show_outlines_what_a_form_takes(asked):
    asked("form", "rows")
    shown = run("show", id_of("form")).stdout
    assert (
        'The answer, as JSON:\n  amount: number, 0 to 500, needed (in euro)\n  reason: one of "late", "broken", needed\n  note: text, else ""\n'
        in shown
    )
    assert "answer " + id_of("rows") + ' --value \'{"accept": "all"}\'' in run("show", id_of("rows")).stdout


def test_show_as_json_has_the_payload_the_schema_and_the_options(asked):
    asked("form", "draft")
    form = json.loads(run("show", id_of("form"), "--json").stdout)
    assert (form["status"], form["payload"], form["schema"]["required"]) == ("open", {"question": "Refund?", "order": 12}, ["amount", "reason"])
    draft = json.loads(run("show", id_of("draft"), "--json").stdout)
    assert [(o["value"], o["takes_text"]) for o in draft["options"]] == [("approve", False), ("edit", True), ("reject", False)]
    assert draft["decision"] is None


def test_a_decided_question_shows_its_decision_also_by_the_beginning_of_its_id(asked):
    asked("options", "text")
    name = id_of("options")
    run("answer", name, "reject", "--reviewer", "dana")
    assert 'Decided: "reject", by dana (cli) at ' in run("show", name).stdout
    shown = json.loads(run("show", name, "--json").stdout)
    assert (shown["status"], shown["decision"]["answer"], shown["decision"]["reviewer"]) == ("decided", "reject", "dana")


def test_an_id_that_is_none_or_too_short_is_an_error_that_says_so(asked):
    asked("options")
    assert "no question has an id that begins with 'zzzz'; hitl-nb pending lists the open ones" in run("show", "zzzz", code=1).stderr
    assert "expected at least 4 characters" in run("show", id_of("options")[:3], code=1).stderr


# -- answer --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "given", "answer"),
    [
        ("options", ["APPROVE"], "approve"),
        ("yes", ["approve"], True),
        ("yes", ["--value", "false"], False),
        ("draft", ["approve", "--comment", "Fine"], {"action": "approve", "feedback": "Fine", "comments": "Fine"}),
        ("draft", ["edit", "--text", "new\nwords"], {"action": "edit", "edited_text": "new\nwords"}),
        ("text", ["A title"], "A title"),
        ("text", ["--text", "@@home"], "@home"),
        ("number", ["12"], 12),
        ("number", ["--", "-3"], -3),
        ("form", ["--value", '{"amount": 120, "reason": "late"}'], {"amount": 120, "reason": "late", "note": ""}),
        ("json", ["--value", '{"any": ["thing"]}'], {"any": ["thing"]}),
    ],
)
def test_an_answer_reaches_the_graph_as_the_control_of_a_card_would_send_it(asked, kind, given, answer):
    graph = asked(kind)
    told = run("answer", id_of(kind), "--reviewer", "dana", *given).stdout
    assert told.startswith("Recorded: ")
    assert told.endswith(f", by dana\nThe run of thread {kind} goes on with it when it is started again.\n")
    assert listed() == []
    found = answered(graph, kind)
    assert (found.model_dump() if isinstance(found, BaseModel) else found) == answer


def test_an_answer_may_come_from_a_file_or_from_standard_input(asked):
    graph = asked("text", "draft", "json")
    Path("new.md").write_bytes("\ufeffnew\nwörds\n".encode())
    run("answer", id_of("draft"), "edit", "--text", "@new.md")
    assert answered(graph, "draft")["edited_text"] == "new\nwörds"
    run("answer", id_of("text"), "-", input="Tea\n")
    assert answered(graph, "text") == "Tea"
    Path("latin").write_bytes("é".encode("latin-1"))
    assert "--value: latin cannot be read: it is not in UTF-8" in run("answer", id_of("json"), "--value", "@latin", code=2).stderr
    assert "none.json cannot be read: No such file" in run("answer", id_of("json"), "--value", "@none.json", code=2).stderr


def test_a_file_is_read_in_place_of_a_text_and_no_empty_standard_input_is_an_answer(asked):
    graph = asked("text", "draft")
    assert "ANSWER: no.md cannot be read" in run("answer", id_of("text"), "@no.md", code=2).stderr
    for given in (["-"], ["--text", "-"], ["--value", "-"]):
        assert "standard input is empty, so nothing was sent" in run("answer", id_of("text"), *given, input="", code=2).stderr
    assert id_of("text")
    Path("a.md").write_text("Tea\n")
    run("answer", id_of("text"), "@a.md")
    assert answered(graph, "text") == "Tea"
    run("answer", id_of("draft"), "edit", "--text", "")
    assert answered(graph, "draft")["edited_text"] == ""


def test_a_few_letters_never_name_another_question_than_the_one_that_was_decided_meanwhile(asked, monkeypatch):
    asked("options")
    meant = id_of("options")
    decided = SimpleNamespace(interrupt_id=meant[:5] + "f" * 27)
    monkeypatch.setattr("hitl_nb.checkpoint.audit.log_entries", lambda saver: [decided])
    assert f"so does {decided.interrupt_id}, which was decided already" in run("answer", meant[:4], "approve", code=1).stderr
    assert id_of("options") == meant
    run("answer", meant[:8], "approve")
    assert listed() == []


@pytest.mark.parametrize(
    ("kind", "given", "why"),
    [
        ("options", ["aprove"], "'aprove' is no option of this question; expected one of: approve, reject. Did you mean 'approve'?"),
        ("options", ["a"], "'a' is no option of this question"),
        ("options", ["approve", "--comment", "x"], "takes no comment, so it would be lost"),
        ("options", ["approve", "--text", "x"], "Approve sends no text, so it would be lost"),
        ("options", ["--value", '"later"'], "'later' is none of its options"),
        ("options", ["--comment", "x"], "which option? Say one of: approve, reject"),
        ("draft", ["edit"], "Edit needs a text"),
        ("number", ["3.5"], "'3.5' is no answer to this question. Must be a whole number"),
        ("form", ["--value", '{"amount": 900, "reason": "late"}'], "900"),
        ("form", ["late"], "'late' is no answer to this question: it takes JSON (--value, --edit)"),
        ("json", ["--value", "{a"], "--value is no JSON"),
        ("late", ["yes"], "could be answered until"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason_and_nothing_is_recorded(asked, kind, given, why):
    graph = asked(kind)
    assert why in run("answer", id_of(kind), *given, code=1).stderr
    assert [q["thread_id"] for q in listed()] == [kind]
    assert graph.checkpointer.decisions(kind) == []


def test_a_question_is_answered_once(asked):
    asked("options")
    name = id_of("options")
    run("answer", name, "approve", "--reviewer", "dana")
    result = run("answer", name, "reject", "--json", code=1)
    error = json.loads(result.stdout)["error"]
    assert (error["type"], error["thread_id"], error["exit_code"]) == ("AlreadyAnsweredError", "options", 1)
    assert "was answered by dana at" in error["message"]
    assert f"Error: {error['message']}\n" == result.stderr


def test_an_answer_as_json_is_the_decision(asked):
    asked("options")
    made = json.loads(run("answer", id_of("options"), "approve", "--reviewer", "dana", "--json").stdout)
    assert (made["answer"], made["reviewer"], made["how"], made["thread_id"], made["votes"]) == ("approve", "dana", "cli", "options", None)


def test_a_word_that_could_mean_two_options_means_none(asked, monkeypatch):
    monkeypatch.setitem(QUESTIONS, "options", ({"question": "Which?", "options": ["go", "Go", "stay"]}, {}))
    graph = asked("options")
    assert "'GO' is no option of this question" in run("answer", id_of("options"), "GO", code=1).stderr
    run("answer", id_of("options"), "Go")
    assert answered(graph, "options") == "Go"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([], "name the question: hitl-nb answer ID"),
        (["{id}"], "here is no terminal to ask on):\n  hitl-nb answer {id} approve\n  hitl-nb answer {id} reject\n"),
        (["-i"], "--interactive asks on a terminal, and here is none"),
        (["-i", "{id}"], "--interactive asks for the answers; leave out ID"),
        (["{id}", "approve", "--node", "ask"], "--node: only with --interactive"),
        (["{id}", "approve", "--value", "1"], "--value is the whole answer; leave out ANSWER"),
        (["{id}", "--edit", "--text", "x"], "--text and --edit: choose one"),
        (["{id}", "--edit"], "set EDITOR, or give the answer with --text or --value"),
        (["{id}", "--comment", "-", "--text", "-"], "standard input can be read once"),
    ],
)
def test_wrong_usage_of_answer_ends_with_2_and_says_what_to_do(asked, given, why):
    asked("options")
    name = id_of("options")
    assert why.replace("{id}", name) in run("answer", *(g.replace("{id}", name) for g in given), code=2).stderr
    assert len(listed()) == 1


def test_who_may_not_answer_is_refused_and_several_answers_are_counted(asked, monkeypatch):
    graph = asked("options", "rows")
    Path("reviews/reviewers.yaml").write_text("reviewers: {ann: [], bo: [desk], cy: [desk]}\n")
    assert "ann" in run("answer", id_of("options"), "approve", "--reviewer", "bo", code=1).stderr
    monkeypatch.setitem(QUESTIONS, "text", ({"question": "Sell?", "options": ["yes", "no"]}, {"assignee": "desk", "quorum": 2}))
    asked("text")
    name = id_of("text")
    assert "(1 of 2 alike): the question stays open for the other reviewers." in run("answer", name, "yes", "--reviewer", "bo").stdout
    assert 'bo answered "yes"' in run("show", name).stdout
    made = json.loads(run("answer", name, "yes", "--reviewer", "cy", "--json").stdout)
    assert (made["answer"], made["votes"]) == ("yes", None)
    assert answered(graph, "text") == "yes"


# -- answer --edit -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def editor(tmp_path, monkeypatch):
    """An editor that replaces a text in each file that it is given, and keeps what it was shown."""

    def become(old: str, new: str) -> Path:
        seen = tmp_path / "seen"
        script = tmp_path / "editor.py"
        script.write_text(
            "import sys, pathlib\n"
            "file = pathlib.Path(sys.argv[1])\n"
            "text = file.read_text('utf-8')\n"
            f"with open({str(seen)!r}, 'a', encoding='utf-8') as log: log.write(text + '\\n=====\\n')\n"
            f"if {old!r} in text: file.write_text(text.replace({old!r}, {new!r}), 'utf-8')\n"
        )
        monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")
        return seen

    return become


def test_an_editor_begins_with_the_draft_and_sends_what_was_saved(asked, editor):
    graph = asked("draft", "edit")
    editor("old", "new")
    run("answer", id_of("draft"), "--edit")
    assert answered(graph, "draft") == {"action": "edit", "edited_text": "new\nwords"}
    run("answer", id_of("edit"), "--edit")
    assert answered(graph, "edit") == "# Title\nnew", "a line of a text that begins with # is text"


def test_an_editor_begins_with_the_fields_of_a_form_and_what_they_take(asked, editor):
    graph = asked("form")
    seen = editor('"amount": null,\n  "reason": null', '"amount": 5,\n  "reason": "late"')
    run("answer", id_of("form"), "--edit")
    assert '#   amount: number, 0 to 500, needed (in euro)\n#   reason: one of "late", "broken", needed\n' in seen.read_text("utf-8")
    assert dict(answered(graph, "form")) == {"amount": 5, "reason": "late", "note": ""}


def test_json_that_cannot_be_taken_is_opened_again_with_the_reason_and_kept_in_the_end(asked, editor, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    asked("form")
    seen = editor('"amount": null', '"amount": 900')
    result = run("answer", id_of("form"), "--edit", code=1)
    first, second, rest = seen.read_text("utf-8").split("\n=====\n")
    assert "Not sent" not in first
    assert second.startswith("# Not sent: ")
    assert not rest
    kept = Path(result.stderr.splitlines()[0].removeprefix("What you wrote is kept in "))
    assert json.loads(kept.read_text("utf-8"))["amount"] == 900
    assert len(listed()) == 1


def test_an_editor_that_saves_nothing_sends_nothing(asked, editor):
    asked("draft")
    editor("not there", "")
    assert "nothing was saved in the editor, so nothing was sent" in run("answer", id_of("draft"), "--edit", code=1).stderr
    assert "Approve has no text to edit" in run("answer", id_of("draft"), "approve", "--edit", code=1).stderr
    assert len(listed()) == 1


# -- answer --interactive, here without a terminal: what is typed comes from a list -------------------------------------------------------


class Person:
    def __init__(self, *lines: Any) -> None:
        self.lines, self.said = list(lines), list[str]()

    def read(self, prompt: str) -> str:
        if not self.lines:
            raise EOFError
        line = self.lines.pop(0)
        if callable(line):
            line()
            return self.read(prompt)
        if isinstance(line, type):
            raise line
        return line

    @property
    def text(self) -> str:
        return "\n".join(self.said)


def talk(graph: Any, *lines: Any, filters: Filters | None = None) -> tuple[int, str]:
    person = Person(*lines)
    code = Dialogue(graph.checkpointer, "dana", read=person.read, write=person.said.append).run(filters, "age")
    assert not person.lines, "the person typed more than was asked"
    return code, person.text


def test_a_vote_is_not_said_to_set_a_run_going(asked, monkeypatch):
    monkeypatch.setitem(QUESTIONS, "text", ({"question": "Sell?", "options": ["yes", "no"]}, {"quorum": 2}))
    code, text = talk(asked("text"), "1")
    assert code == 75
    assert text.endswith("1 question answered here, 1 still open.")


def test_the_open_questions_are_asked_one_by_one_and_each_answer_is_recorded_at_once(asked):
    graph = asked("options", "text", "number")
    code, text = talk(graph, "aprove", "2", lambda: len(listed()) == 2 or pytest.fail("not recorded at once"), "Tea", "x", "4")
    assert code == 0
    assert "3 open questions, answered as dana" in text
    assert [line[:12] for line in text.splitlines() if line.startswith("-- ")] == ["-- 1 of 3 --", "-- 2 of 3 --", "-- 3 of 3 --"]
    assert text.endswith("3 questions answered here. The runs of their threads go on when they are started again.")
    assert [answered(graph, k) for k in ("options", "text", "number")] == ["reject", "Tea", 4]


def test_a_question_can_be_left_open_and_returned_to(asked):
    graph = asked("options", "text", "number")
    code, text = talk(graph, ":back", ":skip", ":BACK", ":s", "::quit", "3", filters=Filters())
    assert code == 75
    assert "No question before this one is open." in text
    assert text.endswith("2 questions answered here, 1 still open. The runs of their threads go on when they are started again.")
    assert answered(graph, "text") == ":quit", "a second colon in front makes it a text"
    assert [q["thread_id"] for q in listed()] == ["options"]


@pytest.mark.parametrize("end", [":q", EOFError, KeyboardInterrupt])
def test_whatever_ends_the_dialogue_what_was_answered_is_recorded(asked, end):
    graph = asked("options", "text", "yes")
    code, text = talk(graph, "approve", *([end] if isinstance(end, str) else [lambda: (_ for _ in ()).throw(end)]))
    assert code == 75
    assert text.endswith("1 question answered here, 2 still open. The runs of their threads go on when they are started again.")
    assert "-- 3 of 3" not in text
    assert answered(graph, "options") == "approve"


def test_a_question_that_another_answered_meanwhile_does_not_end_the_dialogue(asked):
    graph = asked("options", "text", "yes")
    name, other = id_of("options"), id_of("text")
    code, text = talk(
        graph,
        lambda: run("answer", name, "reject", "--reviewer", "ann"),  # while it is on the screen
        lambda: run("answer", other, "Tea", "--reviewer", "ann"),  # before it is
        "approve",
        "approve",
    )
    assert code == 0
    assert "Not taken: the question of node 'ask' (thread 'options') was answered by ann" in text
    assert "Thread text, node ask: answered meanwhile by ann" in text
    assert "1 question answered here, 2 by others meanwhile." in text


def test_what_is_too_late_is_told_and_the_next_is_asked(asked):
    graph = asked("late", "text")
    code, text = talk(graph, "Tea")
    assert code == 75
    assert "Still in time?\nThread late: overdue since " in text
    assert "1 question answered here, 1 still open." in text
    assert talk(graph, filters=Filters(node="other")) == (0, "No open question fits.")


# -- expire, history -----------------------------------------------------------------------------------------------------------------------


def test_expire_hands_on_and_records_defaults_without_a_graph(asked):
    graph = asked("late", "default", "text")
    assert {(e["thread_id"], e["outcome"], e["escalated_to"]) for e in json.loads(run("expire", "--json").stdout)} == {
        ("late", "escalated", "bo"),
        ("default", "default", None),
    }
    assert run("expire").stdout == "No deadline has passed.\n"
    assert answered(graph, "default") == "no"
    assert [(q["thread_id"], q["assignee"], q["overdue"]) for q in listed()] == [("late", "bo", False), ("text", None, False)]
    assert "Assignee: bo, handed on by the deadline of ann" in run("show", id_of("late")).stdout
    assert "thread 'none'" in run("expire", "none", code=1).stderr


def test_expire_says_what_became_of_each(asked):
    asked("late", "default")
    lines = run("expire", "late").stdout.splitlines()
    assert lines[2].endswith("handed on to bo")
    assert lines[-1] == "1 deadline had passed. Times are UTC."
    assert "its default is its answer" in run("expire").stdout


def test_history_tells_the_steps_the_questions_and_the_answers_of_a_thread(asked):
    graph = asked("options", "text")
    run("answer", id_of("options"), "approve", "--reviewer", "dana")
    told = json.loads(run("history", "options", "--json").stdout)
    assert (told["status"], [s["source"] for s in told["steps"]], told["steps"][0]["next"]) == ("ready", ["input"], ["ask"])
    assert [(e["kind"], e.get("answer"), e.get("by")) for e in told["steps"][0]["events"]] == [("asked", None, None), ("answered", "approve", "dana")]
    assert run("history", "options").stdout.endswith("\nIt can go on: ask.\n")
    answered(graph, "options")
    lines = run("history", "options").stdout.splitlines()
    assert [line[27:].split("  ")[0] for line in lines[2:6]] == ["input", "ask asked", "dana answered (cli)", "ran ask"]
    assert lines[-1] == "It has ended."
    assert len(json.loads(run("history", "options", "-n", "1", "--json").stdout)["steps"]) == 1
    assert run("history", "text").stdout.endswith("\nIt waits for 1 answer.\n")
    assert "thread 'none' is not in the store" in run("history", "none", code=1).stderr


def test_a_question_of_a_class_that_is_not_loaded_is_listed_and_told_and_keeps_no_other_back(asked, tmp_path):
    @dataclass
    class Own:
        amount: int

    plain = asked("text")
    with_class = DiskCacheSaver(tmp_path / "reviews", types=[Own])
    graph = StateGraph().add_node("pay", lambda _: {"x": interrupt({"question": "Pay?", "own": Own(1)})}).set_entry_point("pay").compile(with_class)
    graph.invoke({}, config("own"))
    assert "(of a class that is not loaded here)" in run("pending").stdout
    assert [q["thread_id"] for q in listed("--text", "title")] == ["text"]
    assert "is not loaded here" in run("show", id_of("own"), code=1).stderr
    assert "(of a class that is not loaded here)" in run("history", "own").stdout
    code, text = talk(plain, "Tea")
    assert code == 75
    assert "is not loaded here" in text
    assert "1 question answered here, 1 still open." in text
    with_class.close()


# -- untrusted text, bad stores ------------------------------------------------------------------------------------------------------------


def test_nothing_of_a_payload_or_a_name_drives_the_terminal(asked, monkeypatch):
    evil = "Go?\x1b[2J\x9b31m\u202e"
    monkeypatch.setitem(QUESTIONS, "text", ({"question": evil, "options": [evil, "no"], "x\x1b[0m": evil}, {"assignee": f"ann{evil}"}))
    graph = asked("text")
    name = id_of("text")
    outputs = [run(*c).output for c in (["pending"], ["pending", "--json"], ["show", name], ["show", name, "--json"], ["history", "text"])]
    outputs.append(run("answer", name, "maybe\x1b[2J", code=1).output)
    outputs.append(talk(graph, ":q")[1])
    outputs.append(run("answer", name, evil).output)
    assert not any(letter in output for output in outputs for letter in "\x1b\x9b\u202e")


def test_commands_to_copy_are_quoted_for_the_shell(asked, monkeypatch):
    monkeypatch.setitem(QUESTIONS, "text", ({"question": "?", "options": ["$(rm -rf ~)", "--yes"]}, {}))
    graph = asked("text")
    name = id_of("text")
    shown = run("show", name).stdout
    assert f"  hitl-nb answer {name} '$(rm -rf ~)'\n" in shown
    assert f"  hitl-nb answer {name} --value '\"--yes\"'\n" in shown
    run("answer", name, "--", "--yes")
    assert answered(graph, "text") == "--yes"


def test_a_store_that_cannot_be_written_to_is_read_and_an_answer_to_it_is_refused(asked):
    asked("options", "default").checkpointer.close()
    name = id_of("options")
    everything = [Path("reviews"), *Path("reviews").rglob("*")]
    for path in everything:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        if os.access("reviews", os.W_OK):
            pytest.skip("root may write anywhere")
        assert "2 open questions" in run("pending").stdout
        assert "Publish?" in run("show", name).stdout
        assert run("audit", "--verify").stdout == "The log of 0 entries is whole.\n"
        for command in (["answer", name, "approve"], ["expire"]):
            assert "can be read here and not be written to; nothing was written" in run(*command, code=1).stderr
    finally:
        for path in everything:
            path.chmod(0o700)


@pytest.mark.parametrize("command", [["pending"], ["show", "abcd"], ["answer", "abcd", "yes"], ["expire"], ["history", "t"]])
def test_a_folder_without_a_store_is_wrong_usage_and_is_not_made(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    result = run(*command, "--store", "none", "--json", code=2)
    assert json.loads(result.stdout)["error"]["message"].startswith("there is no store in none")
    assert "Error: there is no store in none" in result.stderr
    assert not Path("none").exists()
