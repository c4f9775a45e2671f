"""R11, R12: an update comes before the answer, a route leads somewhere or fails, a static pause is shown once and can be passed."""

from __future__ import annotations

from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.errors import (
    AmbiguousAnswerError,
    EmptyInputError,
    InvalidAnswerError,
    NodeOutputError,
    ThreadWaitingError,
    UnknownNodeError,
    UnusedAnswersWarning,
)
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import END, START, Command


class Log(TypedDict):
    log: Annotated[list, add]
    n: int


# -- R11: update and resume -------------------------------------------------------------------------------------------------------------


def test_the_update_is_applied_first_and_once_and_both_are_recorded(chain, saver, run, cfg):
    seen = []

    def ask(state):
        answer = interrupt("?")
        seen.append((state["n"], answer))
        return {"log": ["node"]}

    graph = chain(saver, ask, schema=Log)
    run(graph, {"n": 1, "log": ["input"]}, cfg)
    result = run(graph, Command(update={"n": 2, "log": ["update"]}, resume="yes"), cfg)
    assert seen == [(2, "yes")]
    assert result == {"log": ["input", "update", "node"], "n": 2}
    assert [s.metadata["source"] for s in graph.get_state_history(cfg)] == ["loop", "update", "input"]
    assert [d.answer for d in saver.decisions("t-1")] == ["yes"]


def test_the_answer_given_with_an_update_fits_the_payload_after_it(chain, saver, run, cfg):
    def pay(state):
        return {"paid": state["n"] if interrupt({"pay": state["n"]}) else 0}

    graph = chain(saver, pay)
    run(graph, {"n": 500}, cfg)
    assert run(graph, Command(update={"n": 600}, resume=True), cfg)["paid"] == 600


def test_a_bad_answer_with_an_update_changes_nothing(chain, saver, run, cfg, only):
    def ask(state):
        return {"got": interrupt({"options": ["a"]})}

    graph = chain(saver, ask)
    question = only(run(graph, {"n": 1}, cfg))
    before = saver.head("t-1")
    with pytest.raises(InvalidAnswerError):
        run(graph, Command(update={"n": 2}, resume="b"), cfg)
    assert saver.head("t-1") == before
    assert graph.get_state(cfg).values == {"n": 1}
    assert only(graph.get_state(cfg)).id == question.id


def test_an_update_that_cannot_be_stored_records_no_answer(chain, saver, run, cfg, only):
    def ask(state):
        return {"got": interrupt("?")}

    graph = chain(saver, ask)
    question = only(run(graph, {"n": 1}, cfg))
    with pytest.raises(TypeError, match=r"state\['n'\]"):
        run(graph, Command(update={"n": print}, resume="x"), cfg)
    assert only(graph.get_state(cfg)).id == question.id
    assert saver.decisions("t-1") == []
    assert run(graph, Command(resume="x"), cfg)["got"] == "x"


@pytest.fixture
def two_open(fan, saver, run, cfg):
    runs = []

    def left(state):
        answer = interrupt("l?")
        runs.append("left")
        return {"l": (state["n"], answer)}

    def right(state):
        answer = interrupt("r?")
        runs.append("right")
        return {"r": (state["n"], answer)}

    graph = fan(saver, left, right)
    ids = [i.id for i in run(graph, {"n": 1}, cfg).interrupts]
    return graph, ids, runs


def test_update_and_resume_of_one_of_two_parallel_questions_keeps_the_other(two_open, saver, run, cfg, only):
    graph, (left, right), runs = two_open
    result = run(graph, Command(update={"n": 2}, resume={left: "L"}), cfg)
    assert only(result).id == right
    assert result["l"] == (2, "L")
    assert [q.interrupt_id for q in saver.open_questions()] == [right]
    assert run(graph, Command(resume={right: "R"}), cfg) == {"n": 2, "l": (2, "L"), "r": (2, "R")}
    assert runs == ["left", "right"]


def test_update_and_a_single_answer_for_two_open_questions_is_refused_and_updates_nothing(two_open, saver, run, cfg):
    graph, _, _ = two_open
    before = saver.head("t-1")
    with pytest.raises(AmbiguousAnswerError):
        run(graph, Command(update={"n": 2}, resume="x"), cfg)
    assert saver.head("t-1") == before


def test_update_and_a_list_answers_further_questions_and_warns_about_the_rest(chain, saver, run, cfg):
    def two(state):
        return {"got": [interrupt("a"), interrupt("b")]}

    graph = chain(saver, two)
    run(graph, {}, cfg)
    with pytest.warns(UnusedAnswersWarning, match="1 of the answers"):
        result = run(graph, Command(update={"n": 2}, resume=["A", "B", "C"]), cfg)
    assert result == {"got": ["A", "B"], "n": 2}


def test_an_update_alone_refreshes_the_question_and_answers_nothing(chain, saver, run, cfg, only):
    def pay(state):
        return {"paid": interrupt({"pay": state["n"]})}

    graph = chain(saver, pay)
    run(graph, {"n": 1}, cfg)
    assert only(run(graph, Command(update={"n": 2}), cfg)).value == {"pay": 2}


# -- R11: goto ---------------------------------------------------------------------------------------------------------------------------


def test_a_command_from_a_node_updates_and_routes(saver, run, cfg):
    def pick(state):
        return Command(update={"n": 1}, goto="right")

    graph = (
        StateGraph()
        .add_node(pick)
        .add_node("left", lambda s: {"went": "left"})
        .add_node("right", lambda s: {"went": "right"})
        .add_edge(START, "pick")
        .compile(saver)
    )
    assert run(graph, {}, cfg) == {"n": 1, "went": "right"}


def test_a_command_may_go_to_several_nodes_and_to_the_end(saver, run, cfg):
    graph = (
        StateGraph()
        .add_node("pick", lambda s: Command(goto=["left", "right", END]))
        .add_node("left", lambda s: {"l": 1})
        .add_node("right", lambda s: {"r": 1})
        .add_edge(START, "pick")
        .compile(saver)
    )
    assert run(graph, {}, cfg) == {"l": 1, "r": 1}


@pytest.mark.parametrize("target", ["publsh", "", None, START], ids=repr)
def test_an_unknown_target_fails_and_names_the_known_nodes(saver, run, cfg, target):
    goal = [target]

    def pick(state):
        return Command(goto=goal)

    graph = StateGraph().add_node(pick).add_node("publish", lambda s: {"done": True}).add_edge(START, "pick").compile(saver)
    with pytest.raises(UnknownNodeError, match="pick, publish"):
        run(graph, {}, cfg)
    assert graph.get_state(cfg).next == ("pick",)
    goal[0] = "publish"
    assert run(graph, None, cfg) == {"done": True}


def test_an_unknown_target_of_a_path_function_fails_and_names_the_known_nodes(saver, run, cfg):
    graph = StateGraph().add_node("a", lambda s: None).add_edge(START, "a").add_conditional_edges("a", lambda s: "b").compile(saver)
    with pytest.raises(UnknownNodeError, match="known: a"):
        run(graph, {}, cfg)
    assert graph.get_state(cfg).next == ("a",)


def test_an_unknown_target_from_outside_fails_and_changes_nothing(chain, saver, run, cfg):
    def ask(state):
        interrupt("?")

    graph = chain(saver, ask)
    run(graph, {}, cfg)
    before = saver.head("t-1")
    with pytest.raises(UnknownNodeError, match="ask"):
        run(graph, Command(goto="nowhere"), cfg)
    assert saver.head("t-1") == before


def test_goto_as_the_first_input_of_a_thread_is_refused_and_not_dropped(chain, saver, run, cfg):
    def first(state):
        return {"a": 1}

    def second(state):
        return {"b": 1}

    graph = chain(saver, first, second)
    with pytest.raises(EmptyInputError, match="goto"):
        run(graph, Command(goto="second", update={"x": 1}), cfg)
    assert saver.head("t-1") is None


@pytest.mark.parametrize("returned", ["text", 3, [1, 2], True], ids=repr)
def test_a_node_that_returns_no_update_fails_and_says_what_is_expected(chain, saver, run, cfg, returned):
    def node(state):
        return returned

    with pytest.raises((NodeOutputError), match="'node' returned"):
        run(chain(saver, node), {}, cfg)


def test_conditional_edges_take_a_mapping_a_list_and_nothing(saver, run, cfg):
    def build(path, path_map=None):
        return (
            StateGraph()
            .add_node("a", lambda s: None)
            .add_node("yes", lambda s: {"went": "yes"})
            .add_node("no", lambda s: {"went": "no"})
            .add_edge(START, "a")
            .add_conditional_edges("a", path, path_map)
            .compile(saver)
        )

    cases = [
        (build(lambda s: s["ok"], {True: "yes", False: "no"}), "yes"),
        (build(lambda s: "no", ["yes", "no"]), "no"),
        (build(lambda s: "yes"), "yes"),
        (build(lambda s: ["yes"]), "yes"),
        (build(lambda s: END), None),
    ]
    for n, (graph, went) in enumerate(cases):
        assert run(graph, {"ok": True}, {"configurable": {"thread_id": f"c-{n}"}}).get("went") == went
    with pytest.raises(UnknownNodeError, match="expected one of"):
        run(build(lambda s: "maybe", ["yes", "no"]), {}, cfg)


# -- R12 --------------------------------------------------------------------------------------------------------------------------------


def a(state):
    return {"log": ["a"]}


def b(state):
    return {"log": ["b"]}


def c(state):
    return {"log": ["c"]}


def boundaries(graph, run, cfg, limit=10):
    """What each pause of a run shows, passing each with None."""
    shown, result = [], run(graph, {"log": []}, cfg)
    while result.is_interrupted and len(shown) < limit:
        shown.append([(i.value["node"], i.value["when"]) for i in result.interrupts])
        result = run(graph, None, cfg)
    assert result["log"] == ["a", "b", "c"]
    return shown


@pytest.mark.parametrize(
    ("pauses", "expected"),
    [
        ({"interrupt_before": ["b"]}, [[("b", "before")]]),
        ({"interrupt_after": ["a"]}, [[("a", "after")]]),
        ({"interrupt_before": "*"}, [[("a", "before")], [("b", "before")], [("c", "before")]]),
        ({"interrupt_before": "*", "interrupt_after": "*"}, [[("a", "before")], [("b", "before")], [("c", "before")]]),
        ({"interrupt_before": ["b"], "interrupt_after": ["a"]}, [[("b", "before")]]),
        ({"interrupt_before": "b"}, [[("b", "before")]]),
    ],
    ids=str,
)
def test_each_boundary_pauses_once_and_is_passed(chain, saver, run, cfg, pauses, expected):
    assert boundaries(chain(saver, a, b, c, schema=Log, **pauses), run, cfg) == expected


def test_the_marker_is_shown_by_invoke_and_by_stream(chain, saver, cfg, only):
    graph = chain(saver, a, b, schema=Log, interrupt_before=["b"])
    result = graph.invoke({"log": []}, cfg)
    marker = only(result)
    assert marker.value == {"node": "b", "when": "before"}
    assert result["__interrupt__"][0]["value"] == {"node": "b", "when": "before"}
    assert result["log"] == ["a"]
    assert result.next == ("b",)
    other = {"configurable": {"thread_id": "t-2"}}
    events = list(graph.stream({"log": []}, other))
    assert events[0] == {"a": {"log": ["a"]}}
    assert [i.value for i in events[1]["__interrupt__"]] == [{"node": "b", "when": "before"}]
    assert [i.value for i in graph.get_state(cfg).interrupts] == [{"node": "b", "when": "before"}]


def test_parallel_nodes_of_one_boundary_pause_together(fan, saver, run, cfg, only):
    graph = fan(saver, a, b, schema=Log, interrupt_before="*")
    pause = only(run(graph, {"log": []}, cfg))
    assert pause.value["when"] == "before"
    assert pause.value["nodes"] == ["a", "b"]
    assert run(graph, None, cfg)["log"] == ["a", "b"]


def test_a_loop_pauses_in_every_round(saver, run, cfg, only):
    def work(state):
        return Command(update={"n": state["n"] + 1}, goto="work" if state["n"] < 4 else END)

    graph = StateGraph(Log).add_node(work).add_edge(START, "work").compile(saver, interrupt_before=["work"])
    result, ids = run(graph, {"n": 0}, cfg), []
    while result.is_interrupted:
        ids.append(only(result).id)
        result = run(graph, None, cfg)
    assert result["n"] == 5
    assert len(set(ids)) == 5


def test_a_static_pause_and_a_question_of_the_same_node_are_two_pauses(chain, saver, run, cfg, only):
    def ask(state):
        return {"n": interrupt("how many?")}

    graph = chain(saver, ask, schema=Log, interrupt_before=["ask"])
    assert only(run(graph, {"n": 0}, cfg)).value == {"node": "ask", "when": "before"}
    assert only(run(graph, None, cfg)).value == "how many?"
    assert only(run(graph, None, cfg)).value == "how many?"
    assert run(graph, Command(resume=3), cfg)["n"] == 3


def test_update_and_resume_pass_a_static_pause(chain, saver, run, cfg):
    graph = chain(saver, a, b, schema=Log, interrupt_before=["b"])
    run(graph, {"log": []}, cfg)
    assert run(graph, Command(update={"log": ["edited"]}, resume=True), cfg)["log"] == ["a", "edited", "b"]


def test_update_and_resume_behind_a_passed_pause_do_not_pause_there_again(chain, saver, run, cfg):
    def ask(state):
        return {"log": [interrupt("?")]}

    graph = chain(saver, a, ask, schema=Log, interrupt_after=["a"], interrupt_before=["ask"])
    run(graph, {"log": []}, cfg)
    run(graph, None, cfg)
    assert run(graph, Command(update={"n": 1}, resume="yes"), cfg) == {"log": ["a", "yes"], "n": 1}


def test_the_state_can_be_edited_at_a_static_pause(chain, saver, run, cfg):
    def use(state):
        return {"log": [f"n={state['n']}"]}

    graph = chain(saver, a, use, schema=Log, interrupt_before=["use"])
    run(graph, {"log": [], "n": 1}, cfg)
    graph.update_state(cfg, {"n": 2})
    assert run(graph, None, cfg)["log"] == ["a", "n=2"]


def test_an_update_beside_an_asking_node_does_not_pause_before_it_again(fan, saver, run, cfg, only):
    def ask(state):
        return {"log": [interrupt("?")]}

    def other(state):
        return {"n": interrupt("n?")}

    graph = fan(saver, ask, other, schema=Log, interrupt_before=["ask"])
    run(graph, {"log": []}, cfg)
    question = next(i for i in run(graph, None, cfg).interrupts if i.value == "?")
    graph.update_state(cfg, {"n": 7}, as_node="other")
    assert only(graph.get_state(cfg)).id == question.id
    assert run(graph, Command(resume="yes"), cfg) == {"log": ["yes"], "n": 7}


def test_new_input_at_a_pause_is_refused(chain, saver, run, cfg, only):
    graph = chain(saver, a, b, schema=Log, interrupt_before=["b"])
    pause = only(run(graph, {"log": []}, cfg))
    with pytest.raises(ThreadWaitingError, match="resume"):
        run(graph, {"log": ["new"]}, cfg)
    assert only(graph.get_state(cfg)).id == pause.id


def test_advance_does_not_pass_a_static_pause(chain, saver, cfg, only):
    graph = chain(saver, a, b, schema=Log, interrupt_before=["b"])
    pause = only(graph.invoke({"log": []}, cfg))
    assert only(graph.advance(cfg)).id == pause.id


def test_who_passed_a_static_pause_is_recorded(chain, saver, run, cfg, only):
    graph = chain(saver, a, b, schema=Log, interrupt_before=["b"])
    pause = only(run(graph, {"log": []}, cfg))
    run(graph, None, cfg)
    (decision,) = saver.decisions("t-1")
    assert (decision.interrupt_id, decision.answer, decision.reviewer) == (pause.id, True, "ada")


@pytest.mark.parametrize("option", ["interrupt_before", "interrupt_after"])
def test_a_static_pause_at_an_unknown_node_fails_at_compile(chain, saver, option):
    with pytest.raises(UnknownNodeError, match="known: a"):
        chain(saver, a, schema=Log, **{option: ["nowhere"]})
