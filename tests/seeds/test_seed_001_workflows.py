"""Seed 001 (LangGraph): approval, review, editing and retry workflows, and the CLI interface."""
# ruff: noqa: RET505, RET507, RET508  # else after return, continue and break, as the seed writes it

from typing import Any, TypedDict

import pytest

from hitl_nb import Command, interrupt


class State(TypedDict, total=False):
    """The keys of the seed's samples, which leave it out."""

    amount: int
    content: str
    draft: str
    final: str
    feedback: str
    input: Any
    result: float
    status: str


def run(graph, given, answers, config):
    """The payloads that were shown while these answers were given, and the final result."""
    result, shown = graph.invoke(given, config), []
    for answer in answers:
        shown.append(result.interrupts[0].value)
        result = graph.invoke(Command(resume=answer), config)
    assert not result.is_interrupted
    return shown, result


# -- approval --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "answers", "status"), [(1000, [], "approved"), (1001, [True], "approved"), (1001, [False], "rejected")], ids=["small", "yes", "no"]
)
def test_simple_approval_asks_only_above_the_limit(chain, config, amount, answers, status):
    def requires_approval(state: State) -> dict:
        if state["amount"] > 1000:
            approval = interrupt(f"Approve ${state['amount']} transaction?")
            if not approval:
                return {"status": "rejected"}
        return {"status": "approved"}

    shown, result = run(chain(State, {"approve": requires_approval}), {"amount": amount}, answers, config)
    assert shown == ["Approve $1001 transaction?"] * len(answers)
    assert result["status"] == status


@pytest.mark.parametrize(
    ("amount", "answers", "levels", "status"),
    [
        (500, [], [], "approved"),
        (5_000, [True], ["manager"], "approved"),
        (20_000, [True, True], ["manager", "director"], "approved"),
        (20_000, [True, False], ["manager", "director"], "rejected"),
        (20_000, [False], ["manager"], "rejected"),
    ],
)
def test_multi_level_approval_asks_each_level_in_turn_until_one_refuses(chain, config, amount, answers, levels, status):
    def multi_level_approval(state: State) -> dict:
        amount = state["amount"]
        if amount >= 1000:
            manager_approval = interrupt({"level": "manager", "amount": amount})
            if not manager_approval:
                return {"status": "rejected"}
        if amount >= 10000:
            director_approval = interrupt({"level": "director", "amount": amount})
            if not director_approval:
                return {"status": "rejected"}
        return {"status": "approved", "amount": amount}

    shown, result = run(chain(State, {"approve": multi_level_approval}), {"amount": amount}, answers, config)
    assert shown == [{"level": level, "amount": amount} for level in levels]
    assert result == {"amount": amount, "status": status}


# -- review and edit -------------------------------------------------------------------------------------------------------------------


def content_reviewer(state: State) -> dict:
    draft = state["draft"]
    feedback = interrupt({"action": "review", "draft": draft, "options": ["approve", "request_changes", "reject"]})
    if feedback["action"] == "approve":
        return {"status": "approved", "final": draft}
    elif feedback["action"] == "request_changes":
        return {"status": "needs_revision", "feedback": feedback["comments"]}
    else:
        return {"status": "rejected"}


@pytest.mark.parametrize(
    ("answer", "update"),
    [
        ({"action": "approve"}, {"status": "approved", "final": "text"}),
        ({"action": "request_changes", "comments": "shorter"}, {"status": "needs_revision", "feedback": "shorter"}),
        ({"action": "reject"}, {"status": "rejected"}),
    ],
    ids=lambda value: value.get("action"),
)
def test_content_review_acts_on_the_chosen_action(chain, config, answer, update):
    _, result = run(chain(State, {"review": content_reviewer}), {"draft": "text"}, [answer], config)
    assert result == {"draft": "text", **update}


def test_an_answer_the_node_fails_on_does_not_poison_the_thread(chain, config):
    """On the seed's own system the wrong answer is replayed for ever; here it stays visible and can be discarded (semantics R6)."""
    graph = chain(State, {"review": content_reviewer})
    (question,) = graph.invoke({"draft": "text"}, config).interrupts
    with pytest.raises(TypeError, match="string indices"):
        graph.invoke(Command(resume="approve"), config)
    assert "string indices" in graph.get_state(config).tasks[0].error
    graph.reopen(config, question.id)
    assert graph.invoke(None, config).interrupts[0].value == question.value
    assert graph.invoke(Command(resume={"action": "approve"}), config)["status"] == "approved"


@pytest.mark.parametrize(("last", "end"), [("approve", {"content": "c", "status": "approved"}), ("reject", {"content": "a", "status": "rejected"})])
def test_the_interactive_editor_shows_each_edit_and_returns_the_last(chain, config, last, end):
    runs = []

    def interactive_editor(state: State) -> dict:
        runs.append(1)
        content = state["content"]
        while True:
            action = interrupt({"content": content, "prompt": "Edit, approve, or reject?"})
            if action["type"] == "edit":
                content = action["new_content"]
                continue
            elif action["type"] == "approve":
                return {"content": content, "status": "approved"}
            else:
                return {"status": "rejected"}

    answers = [{"type": "edit", "new_content": "b"}, {"type": "edit", "new_content": "c"}, {"type": last}]
    shown, result = run(chain(State, {"edit": interactive_editor}), {"content": "a"}, answers, config)
    assert [payload["content"] for payload in shown] == ["a", "b", "c"]
    assert (result, len(runs)) == (end, 4)


# -- retry -----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def retrying(chain):
    """The seed's safe_operation; `tried` is what risky_operation was given."""
    tried = []

    def risky_operation(value):
        tried.append(value)
        return 1 / value

    def safe_operation(state: State) -> dict:
        try:
            result = risky_operation(state["input"])
            return {"result": result}
        except Exception as e:
            action = interrupt({"error": str(e), "question": "Retry with different input?", "current_input": state["input"]})
            if action["retry"]:
                result = risky_operation(action["new_input"])
                return {"result": result, "input": action["new_input"]}
            else:
                raise

    return chain(State, {"operate": safe_operation}), tried


def test_a_human_gives_the_failed_operation_another_input(retrying, config):
    graph, tried = retrying
    shown, result = run(graph, {"input": 0}, [{"retry": True, "new_input": 4}], config)
    assert shown == [{"error": "division by zero", "question": "Retry with different input?", "current_input": 0}]
    assert (result, tried) == ({"input": 4, "result": 0.25}, [0, 0, 4])


def test_giving_up_raises_the_nodes_own_error_and_the_human_can_change_their_mind(retrying, config):
    """On the seed's own system the thread is stuck after giving up (semantics R6)."""
    graph, _ = retrying
    (question,) = graph.invoke({"input": 0}, config).interrupts
    with pytest.raises(ZeroDivisionError):
        graph.invoke(Command(resume={"retry": False}), config)
    graph.reopen(config, question.id)
    assert graph.invoke(None, config).is_interrupted
    assert graph.invoke(Command(resume={"retry": True, "new_input": 2}), config)["result"] == 0.5


# -- the CLI interface -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "typed", "asked"),
    [({}, ["yes", "no"], ["first?", "second?"]), ({"interrupt_before": ["second"]}, ["yes", "yes", "no"], ["first?", "'before'", "second?"])],
    ids=["dynamic", "static too"],
)
def test_the_cli_interface_asks_at_every_pause_until_the_run_ends(chain, config, monkeypatch, capsys, options, typed, asked):
    """With a static pause the seed's loop fails on its own system; here a pause is shown and passed like a question (semantics R12)."""
    graph = chain(
        State,
        {"first": lambda state: {"status": interrupt("first?")}, "second": lambda state: {"status": f"{state['status']} {interrupt('second?')}"}},
        **options,
    )
    decisions = iter(typed)
    monkeypatch.setattr("builtins.input", lambda prompt: next(decisions))
    user_input = {"draft": "text"}

    while True:
        for event in graph.stream(user_input, config):
            if "__interrupt__" in event:
                interrupt_data = event["__interrupt__"][0].value
                print("\n⚠️  Approval Required:")
                print(f"   {interrupt_data}")
                response = input("\nYour decision (yes/no): ").lower()
                approval = response == "yes"
                user_input = Command(resume=approval)
                break
            else:
                print(event)
        else:
            break

    shown = capsys.readouterr().out.split("Approval Required:")[1:]
    assert len(shown) == len(asked)
    assert all(question in text for question, text in zip(asked, shown, strict=True))
    assert "{'second': {'status': 'True False'}}" in shown[-1]
