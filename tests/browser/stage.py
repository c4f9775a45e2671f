"""Hand-made questions for the cards, imported by the notebooks of the browser tests. Answers are taken by a small in-memory desk."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.decisions.check import check_answer
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.errors import AlreadyAnsweredError
from hitl_nb.widgets.front_end import open_front_end

DRAFT = """Tea reached Europe in 1610, when Dutch traders brought the first chests from Hirado to Amsterdam.

For fifty years it stayed a curiosity for the rich. A pound cost as much as a servant earned in six months.

Prices fell after 1700. By 1750 tea was the most popular drink in England, and most of it was smuggled.

Today the world drinks about three billion cups a day."""

PAYLOADS = {
    "approve": {
        "question": "Refund 249.00 EUR to Marta Nowak?",
        "action": "approve_refund",
        "instruction": "The order is 38 days old; policy allows 30.",
        "order": "58213, delivered 12 Oct 2026",
        "amount": "249.00 EUR",
        "reason": "Left earcup silent after a firmware update; <b onclick=alert(1)>replacement</b> out of stock",
        "risk": "low (0.12)",
        "message_text": "Hello, I bought these in October and since the update on Tuesday the left side is silent. I tried everything on your help "
        "page, twice. I need them for work, so please refund me rather than send another pair.\nRegards, Marta",
    },
    "review": {
        "action": "review",
        "question": "Publish this draft?",
        "instruction": "Check the claims and the tone. The text goes live as soon as you approve it.",
        "draft": DRAFT,
        "topic": "History of tea",
        "version": "3 of 5",
        "written_by": "writer-large, 20 Nov 2026",
        "options": ["approve", "edit", "reject"],
    },
    "choice": {"question": "Which route should the parcel take?", "options": ["road", "rail", "air_freight"], "weight_kg": 18.4, "to": "Lyon"},
    "text": {"question": "What should the subject line say?", "type": "text", "audience": "subscribers in France"},
    "edit": {"action": "edit_content", "original": "A line.\nAnother line.\nThe last line.", "instruction": "Fix what is wrong, keep the rest."},
    "json": {"limits": {"low": 0.1, "high": 0.9}, "unit": "mm", "samples": [3, 5, 8]},
    "retry": {"error": "ValueError: '12O' is no number", "question": "Fix the amount or give up.", "current_input": "12O"},
}


def question(name="review", payload=None, **more):
    return Question(
        **{
            "id": f"id-{name}",
            "thread_id": "article-1",
            "node": "review",
            "task_id": "t",
            "position": 0,
            "digest": "",
            "payload": PAYLOADS[name] if payload is None else payload,
            "created_at": datetime.now(UTC) - timedelta(minutes=2),
            "graph": "article",
            **more,
        }
    )


class Desk:
    """Takes the answers and tells the view, as a session does. Every answer goes into a file that the test reads."""

    def __init__(self, log="answers.jsonl"):
        self.front = open_front_end()
        self.view = self.front.view
        self.log = Path(log)
        self.answers = []
        self.number = 0

    def request(self, name="review", payload=None, **more):
        q = question(name, payload, **more)
        return Request(q, form_for(q, reviewer="Dana Ruiz"))

    def ask(self, name="review", payload=None, *, after=None, submit=None, **more):
        request = self.request(name, payload, **more)
        q = request.question

        def record(answer):
            value = check_answer(q, answer)
            decision = self.decide(request, value)
            if after is not None:
                after(request, decision)
            return decision

        self.view.ask(request, submit or record)

    def decide(self, request, answer, how="card"):
        self.answers.append(answer)
        with self.log.open("a") as out:
            out.write(json.dumps(answer) + "\n")
        self.number += 1
        q = request.question
        decision = Decision(q.id, q.thread_id, q.node, self.number, answer, "Dana Ruiz", datetime(2026, 11, 20, 9, 41, tzinfo=UTC), how)
        self.view.decided(request, decision)
        return decision


def taken(answer):
    raise AlreadyAnsweredError("taken", reviewer="Sam Ito", answered_at=datetime(2026, 11, 20, 9, 38, tzinfo=UTC))
