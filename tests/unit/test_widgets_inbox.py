"""An inbox in a notebook: the list, the card below it, one answer for many, and what becomes of all that while others answer too."""

import json
import operator
import shutil
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Annotated, TypedDict

import ipywidgets
import pytest

import hitl_nb
from hitl_nb import END, START, DiskCacheSaver, MemorySaver, Send, StateGraph, inbox, interrupt
from hitl_nb.checkpoint.keys import question_key
from hitl_nb.errors import StoreError, ThreadMovedError
from hitl_nb.waiting.board import Board
from hitl_nb.waiting.listing import Filters
from hitl_nb.waiting.recording import record_answer
from hitl_nb.waiting.resuming import Graphs
from hitl_nb.widgets.inbox.answers import Jobs
from hitl_nb.widgets.inbox.view import InboxView
from hitl_nb.widgets.tree_html import html_of

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
ROUTE = {"question": "Which route?", "options": ["road", "rail"]}
NOTE = {"question": "Which note?", "type": "text"}


class Said(TypedDict, total=False):
    n: int
    said: Annotated[list, operator.add]


class Desk:
    """A store, an inbox on it, and what a person sees and does there."""

    def __init__(self, monkeypatch):
        self.saver, self.now = MemorySaver(), NOON
        self.saver.clock = lambda: self.now
        self.graphs, self.view, self.shown = [], None, []
        monkeypatch.setattr("IPython.display.display", lambda data, **options: self.shown.append(data))
        monkeypatch.setattr("hitl_nb.waiting.watching.Watching.start", lambda watching: None)

    def ask(self, thread, payload="Publish?", *, node="check", after=lambda answer: {}, **terms):
        self.now += timedelta(minutes=1)

        def step(state):
            answer = interrupt(payload, **terms)
            return {"answer": answer} | after(answer)

        build = StateGraph().add_node(node, step).set_entry_point(node)
        graph = build.compile(checkpointer=self.saver, name="articles", now=lambda: self.now)
        graph.invoke({"n": 1}, {"configurable": {"thread_id": thread}})
        self.graphs.append(graph)
        return graph

    def open(self, *, graphs=None, sort="age", **filters):
        board = Board(self.saver, Filters(**filters), sort=sort, reviewer="dana", now=lambda: self.now)
        self.view = InboxView(self.saver, board, Graphs(graphs), reviewer="dana", now=lambda: self.now)
        self.view._answers.jobs.put = lambda job: job()
        self.view.show()

    def id(self, thread):
        return next(line.id for line in self.view._board.lines if line.brief.thread_id == thread)

    def elsewhere(self, thread, *, answer=True):
        q = next(q for q in self.saver.open_questions() if q.thread_id == thread)
        record_answer(self.saver, self.saver.question(q.interrupt_id), answer, reviewer="sam", how="console", now=self.now)
        self.view.look()

    def act(self, name, arg="", value=None, **fields):
        self.view._list._handle_custom_msg({"act": name, "arg": str(arg), "value": value, "fields": fields}, [])

    def pick(self, *threads):
        for thread in threads:
            self.act("pick", self.id(thread), True)

    def bulk(self, name, arg="", **fields):
        self.view._bulk._surface._handle_custom_msg({"act": name, "arg": str(arg), "value": None, "fields": fields}, [])

    def press(self, label):
        next(w for w in self.widgets if isinstance(w, ipywidgets.Button) and w.description == label).click()

    @property
    def widgets(self):
        def all_of(widget):
            yield widget
            for child in getattr(widget, "children", ()):
                yield from all_of(child)

        return list(all_of(self.view.box))

    @property
    def here(self):
        """The question whose card is shown."""
        card = self.view._card
        return None if card is None else card.request.question.thread_id

    @property
    def said(self):
        """The list as a person reads it."""
        return text_of(self.view._list.tree)

    @property
    def preview(self):
        return text_of(self.view._bulk._surface.tree)

    @property
    def card(self):
        return "".join(w.value for w in self.widgets if isinstance(w, ipywidgets.HTML))

    def answer(self, thread):
        decisions = self.saver.decisions(thread)
        return [(d.answer, d.reviewer, d.how) for d in decisions]


def text_of(node):
    if isinstance(node, str):
        return node
    if node and isinstance(node[0], str) and len(node) > 1 and isinstance(node[1], dict):
        return " ".join(filter(None, (text_of(child) for child in node[2:])))
    return " ".join(filter(None, map(text_of, node)))


def instances():
    return set(ipywidgets.widgets.widget._instances)


@pytest.fixture
def desk(monkeypatch):
    made = Desk(monkeypatch)
    yield made
    if made.view is not None:
        made.view.close()


def test_the_list_tells_what_is_asked_where_by_whom_and_until_when(desk):
    desk.ask("tea", assignee="dana", deadline=timedelta(minutes=30))
    desk.ask("coffee", assignee="sam", deadline=timedelta(seconds=30))
    desk.ask("milk")
    desk.now += timedelta(minutes=2)
    desk.open(sort="deadline")
    rows = desk.said.split("Publish?")[1:]
    assert ["articles / check" in row and "asked" in row for row in rows] == [True] * 3
    assert "coffee" in rows[0]
    assert "sam" in rows[0]
    assert "overdue 2 min" in rows[0]
    assert "You" in rows[1]
    assert "due in 26 min" in rows[1]
    assert "Anyone" in rows[2]
    assert "no deadline" in rows[2]
    assert "3 open questions" in desk.said
    assert "All 3" in desk.said
    assert "Mine 1" in desk.said
    assert "Overdue 1" in desk.said


def test_an_answer_is_recorded_as_given_in_the_inbox_and_the_next_question_comes(desk):
    desk.ask("tea", ROUTE)
    desk.ask("coffee", ROUTE)
    desk.ask("milk", ROUTE)
    desk.open()
    desk.act("open", desk.id("coffee"))
    assert desk.here == "coffee"
    desk.press("Rail")
    assert desk.answer("coffee") == [("rail", "dana", "inbox")]
    assert desk.here == "milk"
    desk.press("Road")
    assert desk.here == "tea"
    assert "2 of 3 answered here" in desk.said
    assert "The next run of the thread picks it up" in desk.said
    desk.press("Road")
    assert desk.here is None
    assert "That was the last one." in desk.said
    assert "No open question" in desk.said


def test_an_answer_that_does_not_fit_stays_on_its_card(desk):
    desk.ask("tea", {"question": "How many?"}, schema={"type": "integer", "minimum": 1})
    desk.open()
    desk.act("open", desk.id("tea"))
    desk.view._card._surface._handle_custom_msg(
        {"press": next(iter(desk.view._card._presses)), "text": None, "comment": None, "fields": {"": "0"}}, []
    )
    assert desk.here == "tea"
    assert "Not sent" in desk.card
    assert desk.answer("tea") == []


def test_what_was_typed_survives_going_to_another_question_and_back(desk):
    desk.ask("tea", NOTE)
    desk.ask("coffee", NOTE)
    desk.open()
    desk.act("open", desk.id("tea"))
    field = next(w for w in desk.widgets if isinstance(w, ipywidgets.Textarea) and "hitl-nb-main" in w._dom_classes)
    field.value = "Half a th"
    desk.act("go", "next")
    assert desk.here == "coffee"
    desk.act("go", "prev")
    field = next(w for w in desk.widgets if isinstance(w, ipywidgets.Textarea) and "hitl-nb-main" in w._dom_classes)
    assert field.value == "Half a th"


def test_a_question_that_is_answered_elsewhere_says_who_was_first_and_keeps_what_was_typed(desk):
    desk.ask("tea", NOTE)
    desk.ask("coffee", NOTE)
    desk.open()
    desk.act("open", desk.id("tea"))
    next(w for w in desk.widgets if isinstance(w, ipywidgets.Textarea) and "hitl-nb-main" in w._dom_classes).value = "Half a th"
    desk.elsewhere("tea", answer="Theirs")
    assert "Answered elsewhere" in desk.card
    assert "sam, in the terminal" in desk.card
    assert "Half a th" in desk.card
    desk.view.look()
    desk.press("Next question")
    assert desk.here == "coffee"
    assert "sam, in the terminal" in desk.said


def test_what_was_typed_on_a_card_out_of_sight_can_be_seen_when_others_were_first(desk):
    desk.ask("tea", NOTE)
    desk.ask("coffee", NOTE)
    desk.open()
    desk.act("open", desk.id("tea"))
    next(w for w in desk.widgets if isinstance(w, ipywidgets.Textarea) and "hitl-nb-main" in w._dom_classes).value = "Half a th"
    desk.act("go", "next")
    assert "Show what you wrote" not in desk.said
    desk.elsewhere("tea", answer="Theirs")
    assert "Show what you wrote, not sent" in desk.said
    for _ in range(2):
        desk.act("open", desk.id("tea"))
        assert "Answered elsewhere" in desk.card
        assert "Half a th" in desk.card
        assert "&quot;Theirs&quot;" in desk.card
        desk.press("Next question")
        assert desk.here == "coffee"
    desk.act("open", desk.id("tea"))
    desk.press("Close")
    assert "Show what you wrote" not in desk.said
    desk.act("open", desk.id("tea"))
    assert desk.here is None


def test_the_card_that_the_filters_hide_is_told_too(desk):
    desk.ask("tea")
    desk.ask("coffee")
    desk.open()
    desk.act("open", desk.id("tea"))
    desk.act("text", value="coffee")
    assert desk.here == "tea"
    desk.elsewhere("tea")
    assert "Answered elsewhere" in desk.card


def test_a_press_that_comes_too_late_is_told_on_the_card(desk):
    desk.ask("tea")
    desk.ask("coffee")
    desk.open()
    desk.act("open", desk.id("tea"))
    record_answer(desk.saver, desk.saver.question(desk.id("tea")), False, reviewer="sam", how="console", now=desk.now)
    desk.press("Approve")
    assert desk.answer("tea") == [(False, "sam", "console")]
    assert "Answered elsewhere" in desk.card


def test_a_store_that_refuses_an_answer_to_an_open_question_leaves_it_on_the_card(desk, monkeypatch):
    desk.ask("tea")
    desk.open()
    desk.act("open", desk.id("tea"))
    with monkeypatch.context() as moving:
        moving.setattr(desk.saver, "record", lambda *_: (_ for _ in ()).throw(ThreadMovedError("thread 'tea' moved", thread_id="tea")))
        desk.press("Approve")
    assert "Not sent. thread &#x27;tea&#x27; moved" in desk.card
    desk.press("Approve")
    assert desk.answer("tea") == [(True, "dana", "inbox")]


def test_an_answer_that_the_disk_has_no_room_for_stays_on_its_card(desk, monkeypatch):
    desk.ask("tea", ROUTE)
    desk.open()
    desk.act("open", desk.id("tea"))
    with monkeypatch.context() as full:
        full.setattr(desk.saver, "record", lambda *_: (_ for _ in ()).throw(StoreError("the disk is full")))
        desk.press("Rail")
        assert "Not sent. StoreError: the disk is full" in desk.card
        desk.pick("tea")
        desk.act("together")
        desk.bulk("choose", 0)
        desk.bulk("send")
        assert "Road: 0 questions recorded, 1 not" in desk.preview
        assert "the disk is full" in desk.preview
    desk.bulk("leave")
    desk.press("Rail")
    assert desk.answer("tea") == [("rail", "dana", "inbox")]


def test_new_questions_are_counted_and_nothing_moves_until_they_are_shown(desk):
    desk.ask("tea")
    desk.open()
    desk.ask("coffee")
    desk.view.look()
    assert "Show 1 new" in desk.said
    assert "coffee" not in desk.said
    desk.act("new")
    assert "coffee" in desk.said
    assert "new" not in desk.said.replace("next", "")


def test_a_store_that_cannot_be_read_is_told_and_the_list_stays(desk, monkeypatch):
    desk.ask("tea")
    desk.open()
    with monkeypatch.context() as broken:
        broken.setattr(desk.saver, "open_questions", lambda: (_ for _ in ()).throw(StoreError("the disk is gone")))
        desk.view.look()
    assert "The store cannot be read: the disk is gone" in desk.said
    assert "tea" in desk.said
    desk.view.look()
    assert "disk is gone" not in desk.said


def test_what_went_wrong_at_a_press_is_not_wiped_away_by_a_commit_of_others(desk):
    desk.ask("tea")
    desk.open()
    key = desk.id("tea")
    desk.saver._records.pop(f"q/{key}")
    desk.act("open", key)
    desk.ask("coffee")
    desk.view.look()
    assert "is not in the store any more" in desk.said


def test_a_page_holds_twenty_rows_and_the_keyboard_goes_to_the_next(desk):
    for n in range(45):
        desk.ask(f"t-{n:02}")
    desk.open()
    assert "1 to 20 of 45" in desk.said
    desk.act("page", "next")
    assert "21 to 40 of 45" in desk.said
    desk.act("page", "next")
    desk.act("page", "next")
    assert "41 to 45 of 45" in desk.said
    desk.act("go", "next")
    assert desk.here == "t-00"
    assert "1 to 20 of 45" in desk.said


def test_filters_and_clear(desk):
    desk.ask("tea", assignee="dana")
    desk.ask("coffee", node="taste")
    desk.open()
    desk.act("tab", "mine")
    assert "coffee" not in desk.said
    desk.act("tab", "all")
    desk.act("node", value="=taste")
    assert "tea" not in desk.said.partition("Sort by")[2]
    desk.act("text", value="nowhere")
    assert "No open question fits these filters." in desk.said
    desk.act("clear")
    assert "tea" in desk.said
    assert "coffee" in desk.said
    desk.act("assignee", value="=")
    assert "tea" not in desk.said.partition("Sort by")[2]


# -- many at once


def test_many_are_answered_together_after_a_preview_that_lists_each(desk):
    for thread in ("a", "b", "c"):
        desk.ask(thread, ROUTE)
    desk.ask("note", NOTE)
    desk.open()
    desk.pick("a", "note")
    desk.act("like")
    assert "4 picked" in desk.said
    desk.act("together")
    assert "Answer 3 questions together" in desk.preview
    assert desk.preview.count("→ to be chosen") == 3
    assert "Which note?" in desk.preview
    assert "needs an answer of its own" in desk.preview
    desk.bulk("send")
    assert desk.answer("a") == []
    desk.bulk("choose", 1)
    assert desk.preview.count("→ Rail") == 3
    assert 'Sends  "rail"  to each' in desk.preview
    desk.bulk("send")
    assert [desk.answer(thread) for thread in ("a", "b", "c")] == [[("rail", "dana", "inbox")]] * 3
    assert "Rail: 3 questions recorded" in desk.preview
    assert "3 of 4 answered here" in desk.said
    desk.bulk("leave")
    assert desk.here == "note"


def test_what_is_picked_stays_picked_behind_filters_until_it_is_answered_elsewhere(desk):
    for thread in ("a", "b", "zebra"):
        desk.ask(thread, ROUTE)
    desk.open()
    desk.pick("a", "b")
    desk.act("text", value="zebra")
    assert "2 picked, 2 of them not in this list" in desk.said
    desk.elsewhere("a", answer="road")
    assert "1 picked, 1 of them not in this list" in desk.said
    desk.act("together")
    assert "Answer 1 question together" in desk.preview


def test_of_many_answers_one_that_came_too_late_is_told_and_the_others_count(desk):
    for thread in ("a", "b", "c"):
        desk.ask(thread, ROUTE)
    desk.open()
    desk.pick("a", "b", "c")
    desk.act("together")
    desk.bulk("choose", 0)
    q = desk.saver.question(desk.id("b"))
    record_answer(desk.saver, q, "rail", reviewer="sam", how="console", now=desk.now)
    desk.bulk("send")
    assert "Road: 2 questions recorded, 1 not" in desk.preview
    assert "was answered by sam" in desk.preview
    assert [desk.answer(thread) for thread in ("a", "b", "c")] == [
        [("road", "dana", "inbox")],
        [("rail", "sam", "console")],
        [("road", "dana", "inbox")],
    ]


def test_a_comment_that_is_missing_keeps_the_button_grey_and_says_so(desk):
    for thread in ("a", "b"):
        desk.ask(thread, {"stage": "legal", "document": "One", "options": ["approve", "request_changes"]})
    desk.open()
    desk.pick("a", "b")
    desk.act("together")
    desk.bulk("choose", 1)
    assert "needs a comment" in desk.preview
    desk.bulk("send")
    assert desk.answer("a") == []
    desk.bulk("send", comment="Shorter, please")
    assert desk.answer("b") == [({"action": "request_changes", "feedback": "Shorter, please"}, "dana", "inbox")]


def test_while_answers_are_recorded_nothing_else_is_begun(desk):
    for thread in ("a", "b"):
        desk.ask(thread, ROUTE)
    desk.open()
    jobs = []
    desk.view._answers.jobs.put = jobs.append
    desk.pick("a", "b")
    desk.act("together")
    desk.bulk("choose", 0)
    desk.bulk("send")
    desk.act("open", desk.id("a"))
    desk.bulk("leave")
    desk.bulk("send")
    assert desk.here is None
    assert "Recorded 0 of 2" in desk.preview
    [job] = jobs
    job()
    assert "Road: 2 questions recorded" in desk.preview


# -- graphs at hand


def test_graphs_go_on_with_the_answer_and_the_row_says_where_they_came(desk):
    graph = desk.ask("tea", after=lambda answer: {"done": True})
    desk.open(graphs=graph)
    desk.act("open", desk.id("tea"))
    desk.press("Approve")
    assert "Ran to its end." in desk.said
    assert graph.get_state({"configurable": {"thread_id": "tea"}}).values["done"] is True


def test_several_questions_of_one_thread_and_a_static_pause_go_on_one_by_one(desk):
    def ask(state):
        return {"said": [interrupt({"question": f"Add {state['n']}?", "options": ["yes", "no"]})]}

    fan = StateGraph(Said).add_node("ask", ask).add_edge("ask", END)
    fan = fan.add_conditional_edges(START, lambda _: [Send("ask", {"n": n}) for n in range(2)]).compile(checkpointer=desk.saver, name="fan")
    fan.invoke({}, {"configurable": {"thread_id": "fan"}})
    pause = StateGraph().add_node("a", lambda _: {"x": 1}).set_entry_point("a").compile(checkpointer=desk.saver, name="p", interrupt_before=["a"])
    pause.invoke({"n": 1}, {"configurable": {"thread_id": "pause"}})
    desk.now = datetime.now(UTC)
    desk.open(graphs={"fan": fan, "pause": pause})
    desk.act("go", "next")
    desk.press("Yes")
    assert "Ran on: 1 question open in this thread." in desk.said
    desk.press("No")
    desk.press("Continue")
    assert fan.get_state({"configurable": {"thread_id": "fan"}}).values["said"] == ["yes", "no"]
    assert pause.get_state({"configurable": {"thread_id": "pause"}}).values["x"] == 1
    assert desk.said.count("Ran to its end.") == 3
    assert "No open question" in desk.said


def test_a_node_that_fails_is_told_in_its_row_and_the_answer_stays(desk):
    def fail(answer):
        raise ValueError("no stars left")

    graph = desk.ask("tea", after=fail)
    desk.ask("coffee", node="other")
    desk.open(graphs=[graph])
    desk.act("open", desk.id("tea"))
    desk.press("Approve")
    assert "Answer recorded; running it failed: ValueError: no stars left" in desk.said
    assert desk.answer("tea") == [(True, "dana", "inbox")]
    desk.press("Approve")
    assert "The next run of the thread picks it up" in desk.said
    desk.act("new")
    assert "no stars left" in desk.said


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_a_node_that_ends_the_process_is_told_and_what_comes_after_it_is_done(desk, error):
    def fail(answer):
        raise error

    graph = desk.ask("tea", after=fail)
    desk.open(graphs=[graph])
    jobs, done = Jobs(), Event()
    desk.view._answers.jobs = jobs
    desk.act("open", desk.id("tea"))
    desk.press("Approve")
    jobs.put(done.set)
    assert done.wait(20)
    assert f"Answer recorded; running it failed: {type(error).__name__}" in desk.said


def test_a_job_that_raises_keeps_no_other(capsys):
    jobs, done = Jobs(), Event()
    jobs.put(lambda: 1 / 0)
    jobs.put(done.set)
    assert done.wait(20)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_run_that_waits_for_another_does_not_say_that_it_runs(desk):
    _, graph = [desk.ask(name, after=lambda answer: {}) for name in ("tea", "coffee")]
    desk.open(graphs=[graph])
    queue = []
    desk.view._answers.jobs.put = queue.append
    desk.act("open", desk.id("tea"))
    desk.press("Approve")
    assert "Recorded. Runs when those before it have." in desk.said
    queue.pop()()
    assert "Ran to its end." in desk.said


# -- who may answer


def test_a_question_for_two_reviewers_goes_on_after_the_answer_and_says_how_many_are_missing(desk):
    desk.ask("tea", ROUTE, quorum=2)
    desk.ask("coffee", ROUTE)
    desk.open()
    assert "Needs 2 equal answers, 0 given" in desk.said
    desk.act("open", desk.id("tea"))
    desk.press("Rail")
    assert desk.here == "coffee"
    assert "Recorded: 1 of 2 answered “Rail”" in desk.said
    assert "1 of 2 answered here" in desk.said
    assert "Needs 2 equal answers, 1 given, one of them yours" in desk.said
    assert desk.answer("tea") == []
    desk.view._rows._board._reviewer = "DANA "
    desk.view.look()
    assert "Needs 2 equal answers, 1 given, one of them yours" in desk.said
    desk.press("Road")
    assert desk.here is None
    assert "Nothing else here waits for you." in desk.said
    desk.elsewhere("tea", answer="rail")
    assert "sam, in the terminal" in desk.said
    assert "No open question" in desk.said


def test_a_vote_of_somebody_else_is_seen_on_the_card_and_what_was_typed_stays(desk):
    desk.ask("tea", {"action": "review", "question": "Publish?", "draft": "One", "options": ["approve", "reject"]}, quorum=2)
    desk.open()
    desk.act("open", desk.id("tea"))
    desk.view._card._comment.value = "Half a th"
    desk.elsewhere("tea", answer={"action": "approve", "feedback": ""})
    assert "sam: Approved" in desk.card
    assert desk.view._card._comment.value == "Half a th"
    desk.press("Approve")
    assert [who for _, who, _ in desk.answer("tea")] == ["dana"]


def test_who_may_not_answer_is_told_why_passed_by_and_left_out(desk):
    desk.saver = MemorySaver(reviewers={"reviewers": {"dana": ["finance"], "sam": ["legal"]}})
    desk.saver.clock = lambda: desk.now
    desk.ask("tea", ROUTE, assignee="legal")
    desk.ask("coffee", ROUTE, assignee="finance")
    desk.ask("milk", ROUTE)
    desk.open()
    assert "Only legal may answer" in desk.said
    assert "Mine 1" in desk.said
    desk.act("go", "next")
    assert desk.here == "coffee"
    desk.pick("tea", "milk", "coffee")
    desk.act("together")
    assert "Answer 2 questions together" in desk.preview
    assert "nly legal may answer" in desk.preview


# -- its life


def test_nothing_is_left_behind_when_it_is_closed(desk):
    desk.ask("tea", NOTE)
    desk.ask("coffee", ROUTE)
    desk.open()
    before = instances()
    desk.act("open", desk.id("tea"))
    desk.act("go", "next")
    desk.pick("coffee")
    desk.act("together")
    desk.bulk("leave")
    assert instances() == before
    desk.view.close()
    assert desk.view.box.comm is None
    assert "Publish" not in desk.shown[-1]["text/plain"]
    assert "Which note?" in desk.shown[-1]["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" not in desk.shown[-1]
    desk.view.look()
    desk.act("open", "x")


def test_a_cell_that_is_run_again_opens_the_folder_once(desk, tmp_path, monkeypatch):
    monkeypatch.setattr("hitl_nb.widgets.inbox.opening.running_kernel", object)
    monkeypatch.setattr("hitl_nb.widgets.inbox.opening.person_can_answer", lambda kernel: True)
    for name in ("one", "two"):
        desk.saver = DiskCacheSaver(tmp_path / name)
        desk.ask("tea")
    one, again, two = [inbox(tmp_path / name) for name in ("one", "one", "two")]
    assert one._saver is again._saver
    assert one._saver is not two._saver
    for each in (one, again, two):
        each.close()
        each._saver.close()
    desk.saver.close()
    shutil.rmtree(tmp_path / "one")
    (tmp_path / "two").rename(tmp_path / "one")
    replaced = inbox(tmp_path / "one")
    assert replaced._saver is not one._saver
    assert len(replaced.pending) == 1
    replaced.close()
    replaced._saver.close()


def test_every_text_of_others_is_text(desk):
    evil = "<img src=x onerror=alert(1)>\u202e"
    desk.ask("tea", {"question": evil, "options": [evil, "no"]}, assignee=evil)
    desk.open()
    desk.pick("tea")
    desk.act("together")
    desk.bulk("choose", 0)
    for drawn in (desk.view._list.tree, desk.view._bulk._surface.tree):
        assert "<img" not in html_of(drawn)
        assert "\u202e" not in json.dumps(drawn, ensure_ascii=False)
    assert "<img" not in desk.shown[0]["text/html"]
    assert "<img" not in desk.shown[0]["text/markdown"]


def test_a_payload_that_cannot_be_read_here_is_listed_all_the_same(desk, monkeypatch):
    desk.ask("tea")
    desk.ask("coffee")
    from hitl_nb.errors import UnknownTypeError

    read = desk.saver.question
    lost = next(q.interrupt_id for q in desk.saver.open_questions() if q.thread_id == "tea")

    def question(key):
        if key == lost:
            raise UnknownTypeError("class Order is not loaded here")
        return read(key)

    monkeypatch.setattr(desk.saver, "question", question)
    desk.open()
    assert "cannot be read here: class Order is not loaded here" in desk.said
    desk.act("open", lost)
    assert desk.here is None
    desk.act("text", value="publish")
    assert "coffee" in desk.said


def test_one_damaged_question_keeps_no_other_from_being_listed(desk):
    desk.ask("tea")
    desk.ask("coffee")
    damaged = next(q.interrupt_id for q in desk.saver.open_questions() if q.thread_id == "tea")
    with desk.saver._transaction():
        desk.saver._put(question_key(damaged), b"\xc1")
    desk.open()
    assert "cannot be read here" in desk.said
    assert "coffee" in desk.said
    assert "cannot be read here" in desk.shown[0]["text/plain"]
    assert "coffee" in desk.shown[0]["text/plain"]
    desk.act("text", value="publish")
    assert "coffee" in desk.said


# -- without a person


def test_where_nobody_can_answer_a_list_is_shown_that_reads_the_same_every_time(desk, monkeypatch):
    desk.ask("tea", assignee="sam", deadline=timedelta(hours=1))
    monkeypatch.setattr("hitl_nb.widgets.inbox.opening.running_kernel", object)
    monkeypatch.setattr("hitl_nb.widgets.inbox.opening.person_can_answer", lambda kernel: False)
    box = inbox(desk.saver, reviewer="dana")
    desk.now += timedelta(days=2)
    inbox(desk.saver, reviewer="dana")
    first, second = desk.shown
    assert first == second
    assert first["text/plain"].splitlines()[:2] == ["1 open question", "○ Publish? · articles / check · tea · sam"]
    assert "<td" in first["text/html"]
    assert box.pending[0].thread_id == "tea"
    box.refresh()
    box.close()


def test_what_cannot_be_meant_is_refused(tmp_path, monkeypatch):
    with pytest.raises(TypeError, match="several ids"):
        inbox(MemorySaver(), threads="tea")
    with pytest.raises(ValueError, match="sort is 'size'"):
        inbox(MemorySaver(), sort="size")
    with pytest.raises(StoreError, match="there is no store in"):
        inbox(tmp_path / "nothing")
    monkeypatch.setenv("HITL_NB_STORE", str(tmp_path / "elsewhere"))
    with pytest.raises(StoreError, match="elsewhere"):
        inbox()
    assert hitl_nb.inbox is inbox
