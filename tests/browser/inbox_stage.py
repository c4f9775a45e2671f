"""Threads that wait, for the notebooks of the inbox tests."""

from datetime import timedelta

from hitl_nb import END, START, DiskCacheSaver, StateGraph, interrupt

DRAFT = "Tea reached Europe in 1610, when Dutch traders brought the first chests.\n\nFor fifty years it stayed a curiosity for the rich."
NAMES = ("Marta Nowak", "Ana Pires", "Lin Wei", "Omar Haddad", "Ida Berg")


def compiled(saver, name, node, step):
    return StateGraph().add_node(node, step).add_edge(START, node).add_edge(node, END).compile(checkpointer=saver, name=name)


def approve_refund(state):
    payload = {"question": f"Refund {state['amount']} EUR to {state['to']}?", "options": ["approve", "reject"], "reason": "Left earcup silent"}
    return {"said": interrupt(payload, deadline=state.get("due"), assignee=state.get("who"))}


def review(state):
    payload = {"action": "review", "question": "Publish this draft?", "draft": DRAFT, "options": ["approve", "edit", "reject"]}
    return {"said": interrupt(payload, deadline=timedelta(minutes=14), assignee="Dana Ruiz")}


def second_reading(state):
    payload = {"question": "Which wording of clause 7.3 goes to legal for the second reading, as amended by the client in November?", "type": "text"}
    return {"said": interrupt(payload, assignee="Sam Ito", deadline=timedelta(days=3))}


def refunds(saver):
    return compiled(saver, "refunds", "approve_refund", approve_refund)


def ask_refund(saver, thread, **given):
    refunds(saver).invoke({"amount": 12, "to": thread, **given}, {"configurable": {"thread_id": thread}})


def fill(saver):
    """Seven questions: five refunds (one overdue), a draft, a text."""
    for n, name in enumerate(NAMES):
        due = timedelta(hours=3 * n + 1) if n else timedelta(microseconds=1)
        ask_refund(saver, f"order-{58213 + n}", amount=249 - 7 * n, to=name, due=due if n < 4 else None, who=None if n % 2 else "Dana Ruiz")
    compiled(saver, "article", "review", review).invoke({"n": 1}, {"configurable": {"thread_id": "article-1"}})
    compiled(saver, "contracts", "second_reading", second_reading).invoke({"n": 1}, {"configurable": {"thread_id": "contract-acme-2026-11"}})


def store():
    return DiskCacheSaver("store")
