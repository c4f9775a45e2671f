"""R19: the graph changed while a thread was paused. What is missing is named, before anything runs; and there are ways to go on knowingly."""

from __future__ import annotations

import pickle
from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.checkpoint.records import Decision
from hitl_nb.errors import GraphChangedError, GraphError, UnknownInterruptError, UnknownNodeError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import START, Command, Send


class Doc(TypedDict, total=False):
    draft: str
    approved: object
    log: Annotated[list, add]


class Text(TypedDict, total=False):
    """As Doc, with `draft` renamed to `text`."""

    text: str
    approved: object
    log: Annotated[list, add]


class NoDraft(TypedDict, total=False):
    approved: object
    log: Annotated[list, add]


def write(state):
    return {"draft": "d" * 10, "log": ["write"]}


def ask(state):
    return {"approved": interrupt("publish?"), "log": ["ask"]}


def publish(state):
    return {"log": ["publish"]}


def line(saver, schema=Doc, *, waits="approve", extra=(), **options):
    """write → (the node that asks, under this name) → publish."""
    builder = StateGraph(schema).add_node("write", write).add_node(waits, ask).add_node("publish", publish)
    for name in extra:
        builder.add_node(name, lambda state: None).add_edge("publish", name)
    return builder.add_edge(START, "write").add_edge("write", waits).add_edge(waits, "publish").compile(saver, **options)


@pytest.fixture
def waiting(saver, run, cfg, only):
    """The thread waits at `approve`."""
    return only(run(line(saver), {}, cfg))


def decide(saver, question, answer):
    """Record an answer from a process that does not have the graph."""
    q = saver.question(question.id)
    saver.answer("t-1", [Decision(q.id, q.thread_id, q.node, -1, answer, "ada", q.created_at, "cli", q.digest)])


# -- defects 8 and 9 -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [Command(resume="yes"), None, Command(update={"draft": "x"}, resume="yes"), Command(goto="publish")], ids=str)
def test_a_renamed_node_is_named_before_anything_runs_or_is_recorded(saver, waiting, run, cfg, given):
    """Defect 8: the peer 'succeeds', and the answer is lost."""
    changed, head = line(saver, waits="sign_off"), saver.head("t-1")
    with pytest.raises(GraphChangedError) as caught:
        run(changed, given, cfg)
    error = caught.value
    assert (error.removed_nodes, error.added_nodes, error.removed_keys) == (("approve",), ("sign_off",), ())
    assert (error.thread_id, error.node) == ("t-1", "approve")
    for part in ("node 'approve'", "renamed={'approve': 'sign_off'}", "update_state(config, values, as_node=", "bring back"):
        assert part in str(error)
    assert saver.head("t-1") == head
    assert saver.decisions("t-1") == []
    assert [q.interrupt_id for q in saver.open_questions()] == [waiting.id]


def test_a_lost_state_key_is_named_before_anything_runs_or_is_recorded(saver, waiting, run, cfg):
    """Defect 9: the peer pauses again, for ever."""
    head = saver.head("t-1")
    with pytest.raises(GraphChangedError) as caught:
        run(line(saver, Text), Command(resume="yes"), cfg)
    error = caught.value
    assert (error.removed_nodes, error.added_nodes, error.removed_keys) == ((), (), ("draft",))
    for part in ("state['draft']", "new is state['text']", "renamed={'draft': 'text'}", "None drops a state key"):
        assert part in str(error)
    assert saver.head("t-1") == head
    assert saver.decisions("t-1") == []


def test_the_error_crosses_a_process_pool(saver, waiting, cfg):
    with pytest.raises(GraphChangedError) as caught:
        line(saver, NoDraft, waits="sign_off").invoke(None, cfg)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.removed_nodes, again.added_nodes, again.removed_keys) == (("approve",), ("sign_off",), ("draft",))


def test_advance_says_so_too(saver, waiting, cfg):
    with pytest.raises(GraphChangedError):
        line(saver, waits="sign_off").advance(cfg)


# -- what goes on silently -----------------------------------------------------------------------------------------------------------------


def test_a_change_elsewhere_goes_on_silently(saver, waiting, run, cfg):
    assert run(line(saver, extra=("notify",)), Command(resume="yes"), cfg)["approved"] == "yes"


def test_a_node_that_already_ran_may_go(saver, waiting, run, cfg):
    graph = StateGraph(Doc).add_node("approve", ask).add_node("publish", publish).add_edge(START, "approve").add_edge("approve", "publish")
    assert run(graph.compile(saver), Command(resume="yes"), cfg)["log"] == ["write", "ask", "publish"]


def test_a_new_state_key_goes_on_silently(saver, waiting, run, cfg):
    class More(Doc):
        extra: int

    assert run(line(saver, More), Command(resume="yes"), cfg)["approved"] == "yes"


def test_a_state_key_that_the_thread_never_wrote_may_go(saver, run, cfg):
    class Big(Doc):
        unused: int

    run(line(saver, Big), {}, cfg)
    assert run(line(saver), Command(resume="yes"), cfg)["approved"] == "yes"


def test_a_finished_thread_asks_for_nothing(saver, waiting, run, cfg):
    run(line(saver), Command(resume="yes"), cfg)
    changed = line(saver, NoDraft, waits="sign_off")
    assert run(changed, None, cfg)["log"] == ["write", "ask", "publish"]


def test_a_free_form_state_loses_no_key(saver, waiting, run, cfg):
    assert run(line(saver, None), Command(resume="yes"), cfg)["draft"] == "d" * 10


# -- reading -------------------------------------------------------------------------------------------------------------------------------


def test_reading_always_works(saver, waiting, cfg):
    before = list(line(saver).get_state_history(cfg))
    changed = line(saver, NoDraft, waits="sign_off")
    snapshot = changed.get_state(cfg)
    assert snapshot.next == ("approve",)
    assert [i.id for i in snapshot.interrupts] == [waiting.id]
    assert [s.next for s in changed.get_state_history(cfg)] == [s.next for s in before]
    assert "sign_off" in str(changed.draw(cfg))


# -- update_state: the first way out -------------------------------------------------------------------------------------------------------


def test_an_update_goes_on_behind_a_node_there_is_and_withdraws_the_lost_question(saver, waiting, run, cfg):
    changed = line(saver, waits="sign_off")
    changed.update_state(cfg, {"approved": "by hand"}, as_node="sign_off")
    assert saver.open_questions() == []
    assert changed.get_state(cfg).next == ("publish",)
    assert run(changed, None, cfg)["log"] == ["write", "publish"]
    with pytest.raises(UnknownInterruptError):
        line(saver).reopen(cfg, waiting.id)


def test_an_update_as_the_node_before_asks_anew_at_the_new_node(saver, waiting, run, cfg, only):
    changed = line(saver, waits="sign_off")
    changed.update_state(cfg, None, as_node="write")
    question = only(run(changed, None, cfg))
    assert (question.node, question.value) == ("sign_off", "publish?")
    assert question.id != waiting.id
    assert [q.interrupt_id for q in saver.open_questions()] == [question.id]


def test_an_update_drops_the_lost_key_and_it_stays_gone(saver, waiting, run, cfg):
    changed = line(saver, NoDraft)
    changed.update_state(cfg, {"approved": 1}, as_node="approve")
    assert changed.get_state(cfg).values == {"approved": 1, "log": ["write"]}
    assert run(line(saver, NoDraft, extra=("more",)), None, cfg)["log"] == ["write", "publish"]
    first = list(line(saver).get_state_history(cfg))
    assert any(s.values.get("draft") == "d" * 10 for s in first)  # the history has it still


def test_an_update_as_the_lost_node_says_that_there_is_none(saver, waiting, cfg):
    with pytest.raises(UnknownNodeError, match="sign_off"):
        line(saver, waits="sign_off").update_state(cfg, {}, as_node="approve")


def test_an_update_keeps_the_question_and_the_answer_of_a_node_that_is_still_there(saver, run, cfg, fan):
    def left(state):
        return {"l": interrupt("l?")}

    def right(state):
        return {"r": interrupt("r?")}

    def other(state):
        return {"o": 1}

    (_, of_right) = run(fan(saver, left, right), {}, cfg).interrupts
    decide(saver, of_right, "R")
    changed = fan(saver, other, right)
    with pytest.raises(GraphChangedError):
        run(changed, None, cfg)
    changed.update_state(cfg, {"l": "by hand"}, as_node="other")
    assert run(changed, None, cfg) == {"l": "by hand", "r": "R"}


def test_going_back_to_where_the_graph_still_fits_is_a_way_too(saver, waiting, run, cfg, only):
    changed = line(saver, waits="sign_off")
    start = next(s for s in changed.get_state_history(cfg) if s.next == ("write",))
    question = only(run(changed, None, start.config))
    assert question.node == "sign_off"
    assert [q.interrupt_id for q in saver.open_questions()] == [question.id]


def test_going_back_to_where_a_node_is_gone_is_refused_and_moves_nothing(saver, waiting, run, cfg):
    old = line(saver).get_state(cfg).config
    run(line(saver), Command(resume="yes"), cfg)
    head = saver.head("t-1")
    changed = line(saver, waits="sign_off")
    with pytest.raises(GraphChangedError):
        run(changed, None, old)
    with pytest.raises(GraphChangedError):
        changed.reopen(cfg, waiting.id)
    assert saver.head("t-1") == head


# -- renamed: the second way out -----------------------------------------------------------------------------------------------------------


def test_a_renamed_node_answers_the_old_question(saver, waiting, run, cfg):
    changed = line(saver, waits="sign_off", renamed={"approve": "sign_off"})
    snapshot = changed.get_state(cfg)
    assert (snapshot.next, [(i.id, i.node) for i in snapshot.interrupts]) == (("sign_off",), [(waiting.id, "sign_off")])
    assert run(changed, Command(resume={waiting.id: "yes"}), cfg) == {
        "draft": "d" * 10, "approved": "yes", "log": ["write", "ask", "publish"],
    }  # fmt: skip
    assert len(saver.decisions("t-1")) == 1
    assert saver.open_questions() == []


def test_an_answer_recorded_before_the_way_out_counts_after_it(saver, waiting, run, cfg):
    decide(saver, waiting, "yes")
    with pytest.raises(GraphChangedError):
        run(line(saver, waits="sign_off"), None, cfg)
    assert run(line(saver, waits="sign_off", renamed={"approve": "sign_off"}), None, cfg)["approved"] == "yes"
    assert len(saver.decisions("t-1")) == 1


def test_going_on_without_an_answer_asks_the_same_question(saver, waiting, run, cfg, only):
    changed = line(saver, waits="sign_off", renamed={"approve": "sign_off"})
    assert only(run(changed, None, cfg)).id == waiting.id


def test_answers_of_a_list_reach_the_renamed_node(saver, run, cfg):
    def two(state):
        return {"approved": [interrupt("a?"), interrupt("b?")]}

    def graph(name, **options):
        return StateGraph(Doc).add_node(name, two).add_edge(START, name).compile(saver, **options)

    run(graph("old"), {}, cfg)
    assert run(graph("new", renamed={"old": "new"}), Command(resume=[1, 2]), cfg)["approved"] == [1, 2]


@pytest.mark.parametrize("size", [10, 10_000, 300_000])
def test_a_renamed_state_key_keeps_its_value(saver, run, cfg, size):
    """A small value, one of its own record and one of its own file."""
    value = "d" * size
    run(line(saver), {"draft": value}, cfg)
    line(saver).update_state(cfg, {"draft": value}, as_node="write")

    def show(state):
        return {"approved": interrupt("publish?"), "log": [state["text"]]}

    def graph(**options):
        builder = StateGraph(Text).add_node("approve", show).add_node("publish", publish)
        return builder.add_edge(START, "approve").add_edge("approve", "publish").compile(saver, **options)

    changed = graph(renamed={"draft": "text"})
    assert changed.get_state(cfg).values["text"] == value
    assert run(changed, Command(resume="yes"), cfg)["log"] == ["write", value, "publish"]
    later = graph()  # the mapping is not needed for what was written since
    assert later.get_state(cfg).values["text"] == value
    assert "draft" not in later.get_state(cfg).values


def test_a_renamed_key_is_there_for_a_node_that_runs_again(saver, run, cfg):
    """The thread is read again between two questions."""
    run(line(saver), {}, cfg)

    def show(state):
        return {"approved": [interrupt("publish?"), interrupt(f"sure? {state['text']}")]}

    builder = StateGraph(Text).add_node("approve", show).add_edge(START, "approve")
    changed = builder.compile(saver, renamed={"draft": "text"})
    assert run(changed, Command(resume=["yes", "sure"]), cfg)["approved"] == ["yes", "sure"]


def test_a_state_key_can_be_dropped_on_purpose(saver, waiting, run, cfg):
    result = run(line(saver, NoDraft, renamed={"draft": None}), Command(resume={waiting.id: "yes"}), cfg)
    assert result == {"approved": "yes", "log": ["write", "ask", "publish"]}
    assert "draft" not in line(saver, NoDraft).get_state(cfg).values


def test_a_name_can_change_more_than_once(saver, waiting, run, cfg):
    changed = line(saver, waits="release", renamed={"approve": "sign_off", "sign_off": "release"})
    assert run(changed, Command(resume="yes"), cfg)["approved"] == "yes"


def test_a_renamed_key_of_which_both_names_are_held_is_not_guessed(saver, run, cfg):
    class Both(Doc):
        text: str

    run(line(saver, Both), {"text": "other"}, cfg)
    with pytest.raises(GraphChangedError) as caught:
        run(line(saver, Text, renamed={"draft": "text"}), Command(resume="yes"), cfg)
    assert caught.value.removed_keys == ("draft",)


@pytest.mark.parametrize(
    ("renamed", "says"),
    [
        ({"approve": "nowhere"}, "'nowhere' is neither a node nor a state key"),
        ({"write": "sign_off"}, "'write' is there still"),
        ({"a": "b", "b": "a"}, "neither a node nor a state key"),
        ({"draft": "text"}, "'draft' is there still"),
    ],
)
def test_a_mapping_that_leads_nowhere_is_refused_at_compile(saver, renamed, says):
    with pytest.raises(GraphError, match=says):
        line(saver, waits="sign_off", renamed=renamed)


# -- joins, parallel tasks, sends ----------------------------------------------------------------------------------------------------------


def joined(saver, *, left="left", right="right", both="both", more=(), **options):
    """left and right (which asks) meet at both."""

    def one(state):
        return {"log": ["left"]}

    def between(state):
        return None

    builder = StateGraph(Doc).add_node(left, one).add_node("between", between).add_node(right, ask).add_node(both, publish)
    for name in more:
        builder.add_node(name, between).add_edge(START, name)
    builder.add_edge(START, left).add_edge(START, "between").add_edge("between", right).add_edge([left, right, *more], both)
    return builder.compile(saver, **options)


def test_a_join_source_that_arrived_and_is_gone_is_named(saver, run, cfg):
    run(joined(saver), {}, cfg)
    with pytest.raises(GraphChangedError) as caught:
        run(joined(saver, left="port"), Command(resume="yes"), cfg)
    assert caught.value.removed_nodes == ("left",)
    assert "renamed={'left': 'port'}" in str(caught.value)
    assert saver.decisions("t-1") == []


def test_a_renamed_join_source_has_arrived(saver, run, cfg):
    run(joined(saver), {}, cfg)
    result = run(joined(saver, left="port", right="starboard", renamed={"left": "port", "right": "starboard"}), Command(resume="yes"), cfg)
    assert result["log"] == ["left", "ask", "publish"]


def test_a_renamed_join_target_is_reached(saver, run, cfg):
    run(joined(saver), {}, cfg)
    assert run(joined(saver, both="meet", renamed={"both": "meet"}), Command(resume="yes"), cfg)["log"] == ["left", "ask", "publish"]


def test_a_join_that_was_arrived_at_and_changed_is_named(saver, run, cfg):
    """It would wait for ever: who arrived at the old one has not arrived at the new one."""
    run(joined(saver), {}, cfg)
    with pytest.raises(GraphChangedError, match=r"the edge from \['left', 'right'\] to 'both'"):
        run(joined(saver, more=("third",)), Command(resume="yes"), cfg)


def test_an_update_leaves_the_lost_join_behind(saver, run, cfg):
    run(joined(saver), {}, cfg)
    changed = joined(saver, more=("third",))
    changed.update_state(cfg, {"log": ["by hand"]}, as_node="both")
    changed_again = joined(saver, more=("third", "fourth"))
    assert run(changed_again, Command(resume="yes"), cfg)["log"] == ["left", "by hand", "ask"]


def test_a_finished_parallel_task_whose_node_is_gone_is_named(saver, run, cfg, fan):
    """Its result is there, but not where it leads."""

    def quick(state):
        return {"q": 1}

    def slow(state):
        return {"s": interrupt("s?")}

    def swift(state):
        return {"q": 2}

    run(fan(saver, quick, slow), {}, cfg)
    with pytest.raises(GraphChangedError) as caught:
        run(fan(saver, swift, slow), Command(resume="S"), cfg)
    assert caught.value.removed_nodes == ("quick",)
    assert run(fan(saver, swift, slow, renamed={"quick": "swift"}), Command(resume="S"), cfg) == {"q": 1, "s": "S"}


def test_where_a_finished_task_goes_follows_the_renaming(saver, run, cfg):
    def pick(state):
        return Command(update={"log": ["pick"]}, goto=["target", Send("target", {"by": "send"})])

    def target(state):
        return {"log": [state.get("by", "edge")]}

    def slow(state):
        return {"approved": interrupt("s?")}

    def graph(name, **options):
        builder = StateGraph(Doc).add_node("pick", pick).add_node("slow", slow).add_node(name, target)
        return builder.add_edge(START, "pick").add_edge(START, "slow").compile(saver, **options)

    run(graph("target"), {}, cfg)
    with pytest.raises(GraphChangedError) as caught:
        run(graph("goal"), Command(resume=1), cfg)
    assert caught.value.removed_nodes == ("target",)
    assert run(graph("goal", renamed={"target": "goal"}), Command(resume=1), cfg)["log"] == ["pick", "edge", "send"]


def test_what_is_carried_along_by_an_update_goes_on_under_its_new_name_for_good(saver, run, cfg):
    """The mapping is not needed for what was written since, not even for where a finished task leads."""

    def pick(state):
        return Command(update={"draft": "picked"}, goto="target")

    def target(state):
        return {"log": ["target"]}

    def slow(state):
        return {"approved": interrupt("s?")}

    def graph(picker, goal, schema, **options):
        builder = StateGraph(schema).add_node(picker, pick).add_node("slow", slow).add_node(goal, target).add_node("other", target)
        return builder.add_edge(START, picker).add_edge(START, "slow").compile(saver, **options)

    run(graph("pick", "target", Doc), {}, cfg)
    changed = graph("choose", "goal", Text, renamed={"pick": "choose", "target": "goal", "draft": "text"})
    changed.update_state(cfg, {"log": ["by hand"]}, as_node="other")
    result = run(graph("choose", "goal", Text), Command(resume=1), cfg)
    assert result == {"text": "picked", "approved": 1, "log": ["by hand", "target"]}


def test_a_reopened_question_of_a_renamed_node_is_asked_there(saver, waiting, run, cfg, only):
    run(line(saver), Command(resume="yes"), cfg)
    changed = line(saver, waits="sign_off", renamed={"approve": "sign_off"})
    changed.reopen(cfg, waiting.id)
    assert only(run(changed, None, cfg)).node == "sign_off"
    assert run(line(saver, waits="sign_off"), Command(resume="no"), cfg)["approved"] == "no"


def test_the_likely_new_name_is_the_one_in_the_same_place(saver, run, cfg):
    run(line(saver), {}, cfg)
    with pytest.raises(GraphChangedError, match="renamed={'approve': 'zzz'}"):
        run(line(saver, waits="zzz", extra=("approved",)), None, cfg)


# -- graphs inside nodes -------------------------------------------------------------------------------------------------------------------


def outer(saver, inner):
    return StateGraph(Doc).add_node("inside", inner).add_edge(START, "inside").compile(saver)


def inner(name, **options):
    return StateGraph(Doc).add_node(name, ask).add_edge(START, name).compile(**options)


def test_a_renamed_node_of_a_graph_inside_a_node_is_named_and_the_answer_is_kept(saver, run, cfg, only):
    question = only(run(outer(saver, inner("approve")), {}, cfg))
    with pytest.raises(GraphChangedError) as caught:
        run(outer(saver, inner("sign_off")), Command(resume="yes"), cfg)
    assert (caught.value.removed_nodes, caught.value.added_nodes) == (("approve",), ("sign_off",))
    result = run(outer(saver, inner("sign_off", renamed={"approve": "sign_off"})), None, cfg)
    assert result["approved"] == "yes"
    assert [d.interrupt_id for d in saver.decisions("t-1")] == [question.id]


# -- what is stored ------------------------------------------------------------------------------------------------------------------------


def test_what_a_graph_looks_like_is_stored_once(saver, run, cfg, monkeypatch):
    puts = []
    real = saver._put
    monkeypatch.setattr(saver, "_put", lambda key, record: (puts.append(key), real(key, record)))
    for thread in ("a", "b"):
        run(line(saver), {}, {"configurable": {"thread_id": thread}})
    assert len([k for k in puts if k.startswith("g/")]) == 1
    run(line(saver, extra=("more",)), {}, cfg)
    assert len([k for k in puts if k.startswith("g/")]) == 2


def test_without_its_stored_graph_a_thread_still_says_what_it_needs(saver, waiting, run, cfg, monkeypatch):
    monkeypatch.setattr(saver, "graph_record", lambda fingerprint: None)
    with pytest.raises(GraphChangedError) as caught:
        run(line(saver, NoDraft, waits="sign_off"), None, cfg)
    assert (caught.value.removed_nodes, caught.value.added_nodes, caught.value.removed_keys) == (("approve",), (), ("draft",))
