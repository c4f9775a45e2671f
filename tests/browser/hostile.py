"""Cards and receipts in which every text that comes from outside is the whole corpus of xss.py. Used by the notebooks of test_untrusted_text."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import sleep

import pandas as pd
from stage import Desk, question
from xss import EVERYTHING, NAME, OUTSIDE, PAYLOADS, chunks, tagged

from hitl_nb import Drawing, Picture, forget_renderer, h, markdown, renderer
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.errors import AlreadyAnsweredError, InvalidAnswerError
from hitl_nb.widgets.markdown import looks_like_markdown

AROUND = {"thread_id": tagged("thread"), "node": tagged("node"), "graph": tagged("graph"), "assignee": tagged("assignee")}
SHARED = {
    "question": tagged("question"),
    "instruction": tagged("instruction"),
    tagged("key"): tagged("value"),
    tagged("factkey", NAME): tagged("fact", NAME),
    "deep": {tagged("deepkey"): [tagged("deepvalue")]},
}
REVIEW = SHARED | {"action": "review", "draft": tagged("draft"), "options": ["approve", "edit", "reject"]}
UNDRAWN = " ".join(text for text in PAYLOADS if not looks_like_markdown(text))
"""A draft that is shown as it is; the others are drawn as Markdown."""
SVG = (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20" onload="xss(1)"><script>xss(0)</script><image href="http://{OUTSIDE}/36"/>'
    f'<style>@import url(http://{OUTSIDE}/89);</style><foreignObject><img xmlns="http://www.w3.org/1999/xhtml" src="x" onerror="xss(10)"/>'
    "</foreignObject></svg>"
)
CHAT = [
    {"role": tagged("role"), "content": tagged("said"), "name": tagged("speaker"), tagged("extra"): tagged("extravalue")},
    {"role": "assistant", "content": None, "tool_calls": [{"name": tagged("call"), "args": {tagged("callkey"): tagged("callvalue")}}]},
]
SCHEMA = {
    "title": tagged("schematitle"),
    "description": tagged("schemadescription"),
    "type": "object",
    "properties": {
        "plain": {"type": "string", "title": tagged("title"), "description": tagged("description"), "default": tagged("default")},
        tagged("property"): {"type": "string", "examples": [tagged("example")], "minLength": 10_000},
        "long": {"type": "string", "format": "multiline", "default": f"{tagged('area')}\n\n"},
        "mail": {"type": "string", "format": "email", "default": tagged("mail")},
        "few": {"enum": [tagged("few"), "b"], "description": "Few"},
        "many": {"enum": [tagged("many"), *PAYLOADS[:9]], "default": tagged("many")},
        "one": {"const": tagged("const")},
        "day": {"type": "string", "format": "date", "description": tagged("date")},
        "count": {"type": "integer", "maximum": 3, "title": tagged("count")},
        "sure": {"type": "boolean", "title": tagged("boolean"), "description": tagged("sure")},
        "inner": {"type": "object", "title": tagged("group"), "properties": {tagged("inner"): {"type": "string"}}},
        "list": {"type": "array", "title": tagged("list"), "items": {"type": "string"}, "default": [tagged("item")]},
        "people": {
            "type": "array",
            "default": [{tagged("cellkey"): tagged("cellvalue")}],
            "items": {"type": "object", "title": tagged("itemtitle"), "properties": {tagged("cellkey"): {"type": "string"}}},
        },
        "rest": {"type": "object", "additionalProperties": {"type": "string"}, "default": {tagged("dictkey"): tagged("dictvalue")}},
        "either": {
            "anyOf": [
                {
                    "type": "object",
                    "title": tagged("first"),
                    "properties": {"kind": {"const": "a"}, "a": {"type": "string", "title": tagged("branch")}},
                },
                {"type": "object", "title": tagged("second"), "properties": {"kind": {"const": "b"}}},
            ],
        },
        "strange": {"not": {"type": "string"}, "title": tagged("strange"), "default": {tagged("jsonkey"): tagged("jsonvalue")}},
    },
    "required": ["plain", tagged("property"), "few", "count", "day"],
}
LOG = [{tagged("logcolumn", text): tagged("logcell", text), "b": 1} for text in chunks(1000)]
FRAME = pd.DataFrame(
    {
        tagged("column"): [tagged("cell"), "x", None],
        "sort": pd.Categorical([tagged("category"), "b", "b"]),
        "amount": [1.5, 2.0, 3.0],
        "deep": [{"a": tagged("object")}, 1, 2],
    },
    index=pd.Index([tagged("row"), "r2", "r3"], name=tagged("index")),
)
ACTIONS = {
    "action_requests": [
        {"name": tagged("action"), "args": {tagged("argument"): tagged("argumentvalue"), "n": 1}, "description": tagged("actiondescription")},
        {"name": "delete", "args": {"path": tagged("path")}},
    ],
    "review_configs": [
        {"action_name": tagged("action"), "allowed_decisions": ["approve", "edit", "reject", "respond"]},
        {"action_name": "delete", "allowed_decisions": ["approve", "reject"]},
    ],
}


class Hostile(Desk):
    """Whoever answers here has a name that does harm."""

    def decide(self, request, answer, how="card"):
        shown = self.view.decided
        self.view.decided = lambda request, decision: shown(request, replace(decision, reviewer=tagged("reviewer"), how=tagged("how")))
        try:
            return super().decide(request, answer, how)
        finally:
            self.view.decided = shown


class Drawn:
    """An object of another library with a picture of its own."""

    def _repr_svg_(self):
        return SVG


def open_cards():
    """One of each kind; every card a desk, so that they stand below each other."""
    cards = {
        "review": {"action": "review", "draft": "Tea.", "options": ["approve", "edit", tagged("option")]},
        "choice": {"question": "Which?", "options": [tagged("choice"), *PAYLOADS[:11]]},
        "buttons": {"question": "Which?", "options": PAYLOADS[50:62]},
        "text": {"question": tagged("textquestion"), "type": "text"},
        "plain": tagged("plain"),
        "sentence": tagged("sentence") + "?",
        "json": {"limits": tagged("json"), tagged("jsonkey"): [1, tagged("jsonitem")]},
        "editor": {"action": "edit_content", "original": tagged("original")},
        "retry": {"error": tagged("error"), "question": "Fix?", "current_input": tagged("input")},
        "titled": {"type": tagged("type"), "stage": "x", "content": {tagged("contentkey"): tagged("content")}},
        "undrawn": {"question": "Publish?", "draft": tagged("undrawn", UNDRAWN), "options": ["approve", "edit"]},
        "data": {"question": "Publish?", "draft": {tagged("datakey"): tagged("datavalue")}, "options": ["approve", "edit"]},
        "markdown": {
            "question": "Publish?",
            "draft": f"# Title\n\n- one\n- two\n\n{tagged('markdown')}",
            "options": ["approve", "reject"],
        },
        "payloads": {"question": "Publish?", "draft": "# Title\n\n" + "\n\n".join(PAYLOADS), "options": ["approve", "reject"]},
        "long": {"question": "Fine?", "action": "approve_it", tagged("textlabel"): "\n".join(["a", "b", "c", "d", tagged("longtext")])},
        "chat": {"question": "Send?", "action": "approve_it", tagged("chatlabel"): CHAT},
        "log": {"question": "Fine?", "action": "approve_it", "log": LOG},
        "pictures": {"question": "Fine?", "action": "approve_it", tagged("picturelabel"): Picture(SVG.encode(), alt=tagged("alt")), "own": Drawn()},
        "table": {"question": tagged("tablequestion"), "table": FRAME, tagged("tablekey"): tagged("tablevalue")},
        "rows": {"question": "Right?", "rows": [{tagged("rowkey"): tagged("rowvalue"), "b": 1}] * 3},
        "actions": ACTIONS,
    }
    Hostile("around.jsonl").ask("around", REVIEW, **AROUND)
    for name, payload in cards.items():
        Desk(f"{name}.jsonl").ask(name, payload)
    Desk("form.jsonl").ask("form", {"question": "Fill it in"}, schema=SCHEMA)
    Desk("enum.jsonl").ask("enum", {"question": "Which?"}, schema={"enum": [tagged("enum"), "b"]})


def drawn_cards():
    """Cards of renderers: one draws, the others raise."""

    @renderer(lambda request: request.question.id == "id-own")
    def own(request):
        attributes = dict.fromkeys(("class", "title", "onclick", "style", "src", "href", "aria-label", "data-act", "id"), EVERYTHING)
        node = h("div", attributes, h("img", {"src": f"http://{OUTSIDE}/9", "onerror": "xss(1)"}), h("script", {}, "xss(0)"), tagged("node"))
        return Drawing([tagged("drawntext"), node, markdown(tagged("drawnmarkdown")), Picture(SVG.encode(), alt=tagged("drawnalt"))])

    @renderer(lambda request: request.question.id == "id-raises")
    def raises(request):
        raise ValueError(tagged("drawingerror"))

    @renderer(lambda request: 1 / 0 if request.question.id == "id-predicate" else False)
    def predicate(request):
        return None

    for name in ("own", "raises", "predicate"):
        Desk(f"{name}.jsonl").ask(name, {"question": "Approve?"})
    for draw in (own, raises, predicate):
        forget_renderer(draw)


def stacked_cards():
    """Three questions at once."""
    desk = Desk("stacked.jsonl")
    desk.ask("first", {"question": tagged("stacked"), "options": [tagged("stackoption"), "b"]})
    desk.ask("second", {"question": tagged("stacked"), "options": ["approve", tagged("stackoption")]}, **AROUND)
    desk.ask("third", {"question": "Which?"}, schema={"enum": [tagged("stackenum"), "b"]})


def decide(name, answer, payload, *, desk=Desk, **more):
    """A question with its receipt."""
    desk, asked = desk(f"{name}-decided.jsonl"), question(name, payload, id=f"id-decided-{name}", **more)
    desk.decide(Request(asked, form_for(asked, reviewer="Dana Ruiz")), answer)
    return desk.view


EDITED = {"action": "edit", "edited_text": tagged("edited") + " more", "feedback": tagged("comment")}


def decided_cards():
    """A receipt and an open card with their widgets, and what a saved notebook keeps of the two."""
    decide("live", EDITED, REVIEW, desk=Hostile, **AROUND)
    Desk("open.jsonl").ask("open", {"question": tagged("openquestion"), "options": ["approve"]}, thread_id=tagged("thread"))


def finished_cards():
    """Receipts as a saved notebook keeps them."""
    rejected = {"decisions": [{"type": "reject", "message": tagged("message")}, {"type": "approve"}]}
    changed = {"decisions": [{"type": "edit", "edited_action": {"name": tagged("action"), "args": {tagged("newarg"): tagged("newvalue")}}}] * 2}
    filled = {
        "plain": tagged("filled"),
        "list": [tagged("filleditem")],
        tagged("property"): "x",
        "rest": {tagged("filledkey"): tagged("filledvalue")},
    }
    change = {tagged("changedcolumn"): {"from": tagged("cellbefore"), "to": tagged("cellafter")}}
    rows = {
        "accepted": [tagged("row")],
        "edited": [{"row": tagged("editedrow"), "changes": change}],
        "rejected": [tagged("rejectedrow")],
        "rules": [{"rule": tagged("rule"), "decision": tagged("ruledecision"), "rows": [1]}],
    }
    fine = {"question": "Fine?", "action": "approve_it"}
    answered = [
        ("text", tagged("typed"), {"question": tagged("textquestion"), "type": "text"}),
        ("json", {tagged("jsonkey"): tagged("jsonvalue")}, {"limits": tagged("json")}),
        ("choice", tagged("choice"), {"question": "Which?", "options": [tagged("choice"), "other"]}),
        ("other", tagged("nooption"), {"question": "Approve?"}),
        ("chat", True, fine | {tagged("chatlabel"): CHAT}),
        ("log", True, fine | {"log": LOG}),
        ("pictures", True, fine | {"picture": Picture(SVG.encode(), alt=tagged("alt"))}),
        ("long", True, fine | {tagged("textlabel"): "\n".join(["a", "b", "c", "d", tagged("longtext")])}),
        ("undrawn", {"action": "approve"}, {"question": "Publish?", "draft": tagged("undrawn", UNDRAWN), "options": ["approve", "edit"]}),
        ("table", rows, {"question": "Right?", "table": FRAME}),
        ("actions", rejected, ACTIONS),
        ("changed", changed, ACTIONS),
    ]
    for text in chunks(1000):
        answered.append(("notes", {"notes": tagged("notes", text), "user": tagged("user", text)}, {"actions": ["approve", "reject"]}))
        answered.append(("cut", {tagged("answerkey", text): [tagged("answeritem", text)]}, {"limits": 1}))
    decide("review", EDITED, REVIEW, desk=Hostile, **AROUND).finished()
    decide("form", filled, {"question": "Fill it in"}, schema=SCHEMA).finished()
    for name, answer, payload in answered:
        decide(name, answer, payload).finished()


def taken(answer):
    raise AlreadyAnsweredError("taken", reviewer=tagged("rival"), answered_at=datetime(2026, 11, 20, 9, 38, tzinfo=UTC))


def refused(answer):
    raise InvalidAnswerError(tagged("problem"))


def broken(answer):
    raise OSError(tagged("submiterror"))


def outdated_cards():
    """A question that changed while it was open, and one that was taken back."""
    desk, again = Desk("outdated.jsonl"), Desk("again.jsonl")
    before, after = (question("draft", REVIEW | {"draft": tagged(place)}, id=f"id-{place}") for place in ("before", "after"))
    old, new = (Request(q, form_for(q, reviewer="Dana Ruiz")) for q in (before, after))
    desk.view.ask(old, taken)
    desk.view.outdated(old)
    desk.view.ask(new, taken)
    decision = again.decide(old, EDITED)
    again.view.undone(old, decision)
    again.view.ask(new, taken)


def state_cards():
    """Cards that stand in other states once each has been answered."""
    for name, submit in {"elsewhere": taken, "refused": refused, "broken": broken}.items():
        Desk(f"{name}.jsonl").ask(name, REVIEW, submit=submit)


def events():
    """What a node says while it runs; a card shows the beginning of it."""
    few = chunks(150)
    return [
        {"message": tagged("event", few[0]), "completed": 1, "total": 2},
        {"completed": 1, "total": 2, "unit": tagged("unit", few[1])},
        tagged("saying", few[2]),
        {"text": tagged("eventtext", few[3])},
        {"status": tagged("status", few[5])},
    ]


def graph_of_hostile_names():
    """A graph whose nodes cannot be told from attacks: what it draws, what runs, what it says meanwhile, what it raises."""
    from hitl_nb import MemorySaver, StateGraph, interrupt

    def check(state):
        return {"said": interrupt({"question": "Publish it?"})}

    def publish(state, writer):
        for n, event in enumerate(events()):
            writer(event)
            while not Path(f"seen-{n}").exists():
                sleep(0.02)
        raise ValueError(tagged("exception"))

    builder = StateGraph().add_node(f"check {NAME}", check).add_node(f"publish {NAME}", publish).set_entry_point(f"check {NAME}")
    return builder.add_edge(f"check {NAME}", f"publish {NAME}").compile(checkpointer=MemorySaver(), name=f"graph {NAME}", interrupt_before="*")
