"""Seed 000 (Upsonic graphv2): the complete content review workflow, and the CLI application."""
# ruff: noqa: RET505  # else after return, as the seed writes it

import operator
from typing import Annotated

import pytest
from typing_extensions import TypedDict

from hitl_nb import END, START, Command, StateGraph, interrupt


class ContentState(TypedDict):
    topic: str
    draft: str
    final_content: str
    approval_status: str
    revisions: Annotated[list[str], operator.add]


def generate_content(state: ContentState) -> dict:
    """The seed asks a model here."""
    prompt = f"Write a short article about: {state['topic']}"
    if state.get("revisions"):
        prompt += f"\nPrevious feedback: {state['revisions'][-1]}"
    return {"draft": f"Article for {prompt!r}"}


def review_node(state: ContentState) -> dict:
    """Pause for human review."""
    response = interrupt(
        {
            "action": "review_content",
            "draft": state["draft"],
            "topic": state["topic"],
            "options": ["approve", "edit", "regenerate"],
            "revisions_so_far": len(state.get("revisions", [])),
        }
    )
    if response.get("action") == "approve":
        return {"final_content": state["draft"], "approval_status": "approved"}
    elif response.get("action") == "edit":
        return {"final_content": response.get("edited_text"), "approval_status": "edited"}
    else:
        return {"approval_status": "regenerate", "revisions": [response.get("feedback", "Please improve")]}


def finalize_node(state: ContentState) -> dict:
    """Finalize approved content."""
    return {"approval_status": "finalized"}


def should_regenerate(state: ContentState) -> str:
    """Check if content should be regenerated."""
    if state.get("approval_status") == "regenerate":
        return "generate_content"
    return "finalize"


@pytest.fixture
def graph(saver):
    builder = StateGraph(ContentState)
    builder.add_node("generate_content", generate_content)
    builder.add_node("review", review_node)
    builder.add_node("finalize", finalize_node)
    builder.add_edge(START, "generate_content")
    builder.add_edge("generate_content", "review")
    builder.add_conditional_edges("review", should_regenerate, ["generate_content", "finalize"])
    builder.add_edge("finalize", END)
    return builder.compile(checkpointer=saver)


def new(topic):
    return {"topic": topic, "draft": "", "final_content": "", "approval_status": "", "revisions": []}


def test_scenario_1_an_approved_draft_becomes_the_final_content(graph, config):
    result = graph.invoke(new("Benefits of Python"), config=config)
    draft = result["__interrupt__"][0]["value"]["draft"]
    assert draft == "Article for 'Write a short article about: Benefits of Python'"
    final = graph.invoke(Command(resume={"action": "approve"}), config=config)
    assert (final["approval_status"], final["final_content"]) == ("finalized", draft)


def test_scenario_2_feedback_regenerates_the_draft_and_asks_again(graph, config):
    graph.invoke(new("Machine Learning"), config=config)
    result2 = graph.invoke(Command(resume={"action": "regenerate", "feedback": "Make it more technical"}), config=config)
    interrupt_data = result2["__interrupt__"][0]["value"]
    assert (interrupt_data["revisions_so_far"], "Previous feedback: Make it more technical" in interrupt_data["draft"]) == (1, True)
    final = graph.invoke(Command(resume={"action": "approve"}), config=config)
    assert (final["approval_status"], final["final_content"]) == ("finalized", interrupt_data["draft"])


def test_scenario_3_the_edited_text_becomes_the_final_content(graph, config):
    interrupt_data = graph.invoke(new("JavaScript Frameworks"), config=config)["__interrupt__"][0]["value"]
    edited = interrupt_data["draft"] + " [Human-added conclusion]"
    final = graph.invoke(Command(resume={"action": "edit", "edited_text": edited}), config=config)
    assert (final["approval_status"], final["final_content"]) == ("finalized", edited)


def test_the_three_scenarios_are_threads_that_do_not_see_each_other(graph):
    config1, config2 = ({"configurable": {"thread_id": f"content-{n}"}} for n in (1, 2))
    graph.invoke(new("Benefits of Python"), config=config1)
    graph.invoke(new("Machine Learning"), config=config2)
    graph.invoke(Command(resume={"action": "approve"}), config=config1)
    assert graph.get_state(config1).next == ()
    assert graph.get_state(config2).interrupts[0].value["topic"] == "Machine Learning"


# -- the CLI application ---------------------------------------------------------------------------------------------------------------


class Page(TypedDict, total=False):
    content: str
    status: str


def review_page(state: Page) -> Command:
    response = interrupt({"content": state["content"], "options": ["approve", "improve"]})
    if response["action"] == "improve":
        return Command(update={"content": state["content"] + "!"}, goto="review_page")
    return Command(update={"status": "approved"}, goto=END)


def test_the_cli_application_asks_until_the_run_ends(chain, monkeypatch, capsys):
    typed = iter(["improve ", "approve"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    graph, initial_state = chain(Page, {"review_page": review_page}), {"content": "Hello"}

    def run_with_human_review():
        config = {"configurable": {"thread_id": "cli-session"}}
        result = graph.invoke(initial_state, config=config)
        while "__interrupt__" in result:
            interrupt_data = result["__interrupt__"][0]["value"]
            print(f"Content: {interrupt_data['content']}")
            print("\nOptions:")
            for i, option in enumerate(interrupt_data.get("options", []), 1):
                print(f"  {i}. {option}")
            choice = input("\nYour choice: ").strip()
            result = graph.invoke(Command(resume={"action": choice}), config=config)
        print(f"\n✓ Completed: {result}")

    run_with_human_review()
    shown = capsys.readouterr().out
    assert shown.count("  1. approve\n  2. improve\n") == 2
    assert "✓ Completed: {'content': 'Hello!', 'status': 'approved'}" in shown
