"""What is remembered of the nodes that run: little, whatever they do."""

from hitl_nb import MemorySaver, StateGraph, get_stream_writer, interrupt
from hitl_nb.graph.types import START, Send
from hitl_nb.graph.watch import Begun
from hitl_nb.responders.progress import Progress


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def begun(*names, path=()):
    return [Begun(name, name, path) for name in names]


def made():
    clock = Clock()
    return Progress(clock=clock), clock


def told(event):
    progress, _ = made()
    progress.started(begun("publish"))
    progress.wrote("publish", event)
    (step,) = progress.glance().steps
    return step.said, step.share


def test_a_step_that_ended_keeps_its_time_and_one_that_runs_counts_on():
    progress, clock = made()
    progress.started(begun("format"))
    clock.now = 0.4
    progress.ended("format", "done")
    progress.started(begun("publish"))
    clock.now = 3.5
    done, running = progress.glance().steps
    assert (done.name, done.state, done.seconds) == ("format", "done", 0.4)
    assert (running.name, running.state, running.seconds) == ("publish", "running", 3.1)


def test_the_latest_event_of_a_node_is_what_it_says():
    assert told("Uploading\n page 7") == ("Uploading page 7", None)
    assert told({"done": 7, "total": 12}) == ("7 of 12", 7 / 12)
    assert told({"done": 1200, "total": 12000, "unit": "pages"}) == ("1 200 of 12 000 pages", 0.1)
    assert told({"done": 7, "total": 12, "message": "Page 7"}) == ("Page 7", 7 / 12)
    assert told({"status": "Waiting"}) == ("Waiting", None)
    assert told(0.25) == ("0.25", None)


def test_a_text_after_a_count_is_said_beside_the_bar():
    progress, _ = made()
    progress.started(begun("publish"))
    progress.wrote("publish", {"done": 1, "total": 4})
    progress.wrote("publish", "Uploading")
    (step,) = progress.glance().steps
    assert (step.said, step.share) == ("Uploading", 0.25)
    progress.wrote("publish", {"done": 2, "total": 4})
    assert progress.glance().steps[0].said == "2 of 4"


def test_an_event_that_is_not_made_for_reading_says_nothing_and_hurts_nobody():
    class Hostile(dict):
        def get(self, *_):
            raise RuntimeError

    nan, inf = float("nan"), float("inf")
    for event in (
        object(),
        Hostile(),
        b"x",
        [1] * 10,
        {"done": nan, "total": 3},
        {"done": 1, "total": inf},
        {"done": 1, "total": 0},
        {"done": True},
        None,
    ):
        assert told(event) == ("", None)
    assert told({"done": 9, "total": 3})[1] == 1.0
    assert told({"done": -9, "total": 3})[1] == 0.0
    assert len(told("x" * 100_000)[0]) == 200
    assert len(told(10**5000)[0]) <= 200


def test_of_hundreds_of_nodes_the_last_that_ended_and_the_first_that_run_are_shown_and_the_others_counted():
    progress, _ = made()
    names = [f"n{i}" for i in range(400)]
    progress.started(begun(*names))
    for name in names[:150]:
        progress.ended(name, "done")
    glance = progress.glance(6)
    assert [s.name for s in glance.steps] == ["n148", "n149", "n150", "n151", "n152", "n153"]
    assert (glance.earlier, glance.further) == (148, 246)


def test_what_nobody_began_is_passed_over_and_cleared_is_empty():
    progress, _ = made()
    progress.ended("x", "done")
    progress.wrote("x", "y")
    assert progress.changes == 0
    progress.started(begun("a"))
    progress.clear()
    assert progress.glance().steps == ()


# -- what a graph tells


class Notes:
    def __init__(self):
        self.lines = []

    def started(self, begun):
        self.lines += [f"start {'/'.join((*b.path, b.node))}" for b in begun]
        self.names = {**getattr(self, "names", {}), **{b.task_id: b.node for b in begun}}

    def ended(self, task_id, how):
        self.lines.append(f"{how} {self.names[task_id]}")

    def wrote(self, task_id, event):
        self.lines.append(f"{self.names[task_id]}: {event}")


CONFIG = {"configurable": {"thread_id": "t"}}


def test_a_graph_tells_whoever_watches_what_its_nodes_do_also_inside_and_in_which_order():
    def inner_node(state):
        get_stream_writer()("inside")
        return {"n": interrupt("Ok?")}

    inner = StateGraph().add_node("second", inner_node).add_edge(START, "second").compile()

    def count(state):
        get_stream_writer()({"done": 1, "total": 2})

    builder = StateGraph().add_node("count", count).add_node("check", inner)
    graph = builder.add_edge(START, "count").add_edge("count", "check").compile(MemorySaver())
    notes = Notes()
    graph.advance(CONFIG, begin={"n": 0}, watch=notes)
    assert notes.lines == [
        "start count",
        "count: {'done': 1, 'total': 2}",
        "done count",
        "start check",
        "start check/second",
        "second: inside",
        "asked second",
        "asked check",
    ]


def test_of_nodes_side_by_side_each_is_told_when_it_ends_and_one_that_fails_says_so():
    def work(n):
        if n == 2:
            raise ValueError(n)

    builder = StateGraph().add_node("fan", lambda state: None).add_node("work", work).add_edge(START, "fan")
    graph = builder.add_conditional_edges("fan", lambda state: [Send("work", n) for n in range(4)]).compile(MemorySaver())
    notes = Notes()
    try:
        graph.advance(CONFIG, begin={}, watch=notes)
    except ValueError:
        pass
    assert sorted(notes.lines) == sorted(["start fan", "done fan", *["start work"] * 4, *["done work"] * 3, "failed work"])


def test_a_node_is_run_by_the_thread_that_runs_the_graph_whoever_watches():
    import threading

    ran = []
    graph = StateGraph().add_node("a", lambda state: ran.append(threading.current_thread())).add_edge(START, "a").compile(MemorySaver())
    graph.advance(CONFIG, begin={}, watch=Notes())
    assert ran == [threading.current_thread()]
