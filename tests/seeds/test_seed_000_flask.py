"""Seed 000 (Upsonic graphv2): the web application, under the real Flask."""

from typing import TypedDict

import pytest
from flask import Flask, jsonify, request

from hitl_nb import Command, errors, interrupt


class Page(TypedDict, total=False):
    content: str
    status: str
    published: str


@pytest.fixture
def graph(chain):
    """Asks twice: once about the content, then about publishing it."""

    def review(state: Page) -> dict:
        return {"status": interrupt({"content": state["content"], "options": ["approve", "reject"]})}

    def publish(state: Page) -> dict:
        return {"published": interrupt({"content": f"Publish what was met with {state['status']!r}?", "options": ["yes", "no"]})}

    return chain(Page, {"review": review, "publish": publish})


@pytest.fixture
def browser(graph):
    """A client of the seed's application; `/answer` is its `/resume` done right."""
    app = Flask(__name__)

    @app.route("/execute", methods=["POST"])
    def execute_workflow():
        data = request.json
        thread_id = data["thread_id"]
        config = {"configurable": {"thread_id": thread_id}}
        result = graph.invoke(data["state"], config=config)
        if "__interrupt__" in result:
            return jsonify({"status": "interrupted", "interrupt": result["__interrupt__"][0]["value"], "thread_id": thread_id})
        return jsonify({"status": "completed", "result": result})

    @app.route("/resume", methods=["POST"])
    def resume_workflow():
        data = request.json
        thread_id = data["thread_id"]
        human_input = data["input"]
        config = {"configurable": {"thread_id": thread_id}}
        result = graph.invoke(Command(resume=human_input), config=config)
        return jsonify({"status": "completed", "result": result})

    @app.route("/answer", methods=["POST"])
    def answer_workflow():
        data = request.json
        result = graph.invoke(Command(resume={data["id"]: data["input"]}), {"configurable": {"thread_id": data["thread_id"]}})
        if result.is_interrupted:
            return jsonify({"status": "interrupted", "interrupt": result.interrupts[0].to_dict()})
        return jsonify({"status": "completed", "result": result})

    @app.errorhandler(errors.AnswerError)
    def refused(error):
        return jsonify({"status": "refused", "because": type(error).__name__}), 409

    return app.test_client()


START = {"thread_id": "web-1", "state": {"content": "Hello"}}


def test_execute_returns_the_question_and_resume_the_result(browser):
    first = browser.post("/execute", json=START)
    assert first.json == {"status": "interrupted", "interrupt": {"content": "Hello", "options": ["approve", "reject"]}, "thread_id": "web-1"}
    browser.post("/resume", json={"thread_id": "web-1", "input": "approve"})
    last = browser.post("/resume", json={"thread_id": "web-1", "input": "yes"})
    assert last.json == {"status": "completed", "result": {"content": "Hello", "status": "approve", "published": "yes"}}


def test_resume_as_the_seed_writes_it_still_hands_out_the_second_question(browser):
    """The seed answers "completed" whatever came back; the result beside that word names the question that is open (semantics §4, 27)."""
    browser.post("/execute", json=START)
    body = browser.post("/resume", json={"thread_id": "web-1", "input": "approve"}).json
    assert body["status"] == "completed"
    assert body["result"]["__interrupt__"][0]["value"]["content"] == "Publish what was met with 'approve'?"


def test_a_second_pause_is_reported_as_a_pause_where_the_result_is_asked(browser, graph):
    browser.post("/execute", json=START)
    config = {"configurable": {"thread_id": "web-1"}}
    (first,) = graph.get_state(config).interrupts
    second = browser.post("/answer", json={"thread_id": "web-1", "id": first.id, "input": "approve"}).json
    assert (second["status"], second["interrupt"]["node"]) == ("interrupted", "publish")
    last = browser.post("/answer", json={"thread_id": "web-1", "id": second["interrupt"]["id"], "input": "yes"}).json
    assert last == {"status": "completed", "result": {"content": "Hello", "status": "approve", "published": "yes"}}


def test_a_double_click_and_a_typo_are_refused_and_reach_no_other_question(browser, graph):
    browser.post("/execute", json=START)
    (first,) = graph.get_state({"configurable": {"thread_id": "web-1"}}).interrupts
    click = {"thread_id": "web-1", "id": first.id, "input": "approve"}
    typo = browser.post("/answer", json={**click, "input": "aprove"})
    assert (typo.status_code, typo.json["because"]) == (409, "InvalidAnswerError")
    second = browser.post("/answer", json=click).json
    again = browser.post("/answer", json=click)
    assert (again.status_code, again.json["because"]) == (409, "AlreadyAnsweredError")
    assert graph.get_state({"configurable": {"thread_id": "web-1"}}).interrupts[0].id == second["interrupt"]["id"]
