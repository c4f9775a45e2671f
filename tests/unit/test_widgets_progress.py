"""The card of what runs, without a browser."""

from datetime import UTC, datetime, timedelta
from threading import RLock, Thread

import pytest

from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.graph.watch import Begun
from hitl_nb.responders.progress import Glance, Progress, Step
from hitl_nb.widgets.controls import close
from hitl_nb.widgets.progress import Activity, tree
from hitl_nb.widgets.receipt import Receipt
from hitl_nb.widgets.times import took

AT = datetime(2026, 11, 20, 9, 41, tzinfo=UTC)
EVIL = "<img src=x onerror=alert(1)>"


def nodes(found, tag):
    """Every element with this tag in a tree."""
    if isinstance(found, str):
        return []
    if found and isinstance(found[0], str) and isinstance(found[1], dict):
        return ([found] if found[0] == tag else []) + [n for child in found[2:] for n in nodes(child, tag)]
    return [n for child in found for n in nodes(child, tag)]


def words(found):
    return found if isinstance(found, str) else "".join(words(child) for child in found[2:])


def rows(*steps, **more):
    drawn = tree(Glance(steps, **more))
    return drawn, [words(row) for row in nodes(drawn, "li")]


def test_a_step_shows_its_name_what_it_said_and_its_time():
    drawn, told = rows(Step("format", "done", 0.4), Step("publish", "running", 3.1, f"page 7 {EVIL}"), Step("check / second", "failed", 75))
    assert told == ["format0.4 s", f"publish: page 7 {EVIL}3.1 s", "check / second failed1 min 15 s"]
    assert [n[1]["name"] for n in nodes(drawn, "icon")] == ["ok", "run", "bad"]


def test_the_progress_of_one_step_is_a_bar_above_all_and_that_of_several_stands_with_each():
    drawn, _ = rows(Step("publish", "running", 3.1, "7 of 12", 7 / 12), Step("mail", "running", 1))
    assert drawn[0][:2] == ["progress", {"class": "hitl-nb-share", "max": "1", "value": "0.5833", "rev": "0.5833", "aria-label": "publish: 7 of 12"}]
    drawn, _ = rows(Step("a", "running", 1, "1 of 2", 0.5), Step("b", "running", 1, "1 of 4", 0.25))
    assert drawn[0][0] == "ul"
    assert [n[1]["value"] for n in nodes(drawn, "progress")] == ["0.5000", "0.2500"]
    drawn, _ = rows(Step("a", "done", 1, "2 of 2", 1.0))
    assert nodes(drawn, "progress") == []


def test_steps_that_are_not_shown_are_counted():
    _, told = rows(Step("n", "running", 0), earlier=148, further=246)
    assert (told[0], told[-1]) == ("148 earlier", "246 more")


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (65, "1 min 05 s"), (3599, "59 min 59 s"), (7400, "2 h 03 min")]
)
def test_how_long_something_took(seconds, told):
    assert took(seconds) == told


def made():
    question = Question("q", "t", "check", "t", 0, "", f"Publish {EVIL}?", AT)
    request = Request(question, form_for(question, reviewer="Dana"))
    receipt = Receipt(request, Decision("q", "t", "check", 0, True, "Dana", AT, "card"))
    progress = Progress()
    return Activity(["publish"], receipt, progress, RLock(), lambda: AT + timedelta(minutes=2)), progress


def text(activity):
    return activity.box.children[0].value


def test_the_head_says_what_was_answered_and_which_nodes_run():
    activity, _ = made()
    assert "Approved, running publish" in text(activity)
    assert "asked 2 min ago" in text(activity)
    assert EVIL not in text(activity)
    activity.run([f"n{i} {EVIL}" for i in range(9)])
    activity.refresh()
    assert "and 6 more" in text(activity)
    assert EVIL not in text(activity)
    activity.stop()
    close(activity.box)


def ends(call):
    """The call returns soon."""
    thread = Thread(target=call, daemon=True)
    thread.start()
    thread.join(5)
    return not thread.is_alive()


def test_of_many_events_few_are_drawn_and_none_once_it_is_stopped():
    activity, progress = made()
    drawn = []
    activity._surface.observe(lambda change: drawn.append(change.new), "tree")
    progress.started([Begun("p", "publish")])
    for n in range(10_000):
        progress.wrote("p", {"done": n, "total": 10_000})
    assert len(drawn) <= 10
    activity.refresh()
    assert "publish: 9 999 of 10 000" in "".join(words(n) for n in activity._surface.tree)
    activity.stop()
    assert ends(activity._keep_fresh)
    close(activity.box)


def test_closed_widgets_end_the_drawing():
    activity, _ = made()
    close(activity.box)
    assert ends(activity._keep_fresh)
