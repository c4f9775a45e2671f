"""Actions that are decided one by one, and JSON that is edited, in a real JupyterLab."""

import os
import re
from pathlib import Path

import pytest

ACTIONS = """from stage import *
PAYLOAD = {
    "action_requests": [
        {"name": "send_email", "description": "Tool execution pending approval <img src=x onerror='window.fired = 1'>",
         "args": {"to": "ana@example.org", "subject": "Your refund", "body": "Hello Ana,\\nwe refund 249.00 EUR today.", "copies": 2}},
        {"name": "execute_sql", "args": {"query": "UPDATE orders SET refunded = true WHERE id = 58213"}},
        {"name": "close_ticket", "args": {"ticket": 58213, "tags": ["refund", "audio"], "notify": True}},
        {"name": "restart_service", "args": {}},
    ],
    "review_configs": [
        {"action_name": "send_email", "allowed_decisions": ["approve", "edit", "reject", "respond"]},
        {"action_name": "execute_sql", "allowed_decisions": ["approve", "reject"]},
    ],
}
d = Desk()
d.ask("actions", PAYLOAD, thread_id="support-58213", node="tools", graph="agent")"""
EDIT = """from stage import *
e = Desk("edits.jsonl")
e.ask("json-edit", {"action": "edit_content", "original": {"limits": {"low": 0.1, "high": 0.9}, "unit": "mm", "samples": [3, 5, 8]},
                    "instruction": "Set the limits for the new sensor."})"""


def keep(notebook, name, index=0):
    if "HITL_NB_SHOTS" in os.environ:
        notebook.shot(Path(os.environ["HITL_NB_SHOTS"]) / f"{name}.png", index)


def verb(notebook, action, label):
    return notebook.page.get_by_role("group", name=action).get_by_role("radio", name=label, exact=True)


def argument(notebook, action, label):
    return notebook.page.get_by_role("group", name=action).get_by_role("textbox", name=re.compile(f"^{re.escape(label)}"))


def narrow(notebook):
    """Nothing is wider than its card."""
    return notebook.page.evaluate(
        """() => [...document.querySelectorAll('.hitl-nb-card')].flatMap(card => {
            const right = card.getBoundingClientRect().right + 1;
            return [...card.querySelectorAll('*')].filter(n => n.getBoundingClientRect().right > right && n.offsetParent
                && !n.closest('.hitl-nb-scroll, .hitl-nb-text')).map(n => n.className || n.tagName);
        })"""
    )


def test_actions_are_decided_by_mouse_and_keyboard_and_leave_a_receipt(lab):
    notebook = lab([ACTIONS])
    notebook.run(0)
    page = notebook.page
    send = page.get_by_role("button", name="Send decisions", exact=True)
    page.wait_for_selector(".hitl-nb-card[role=group] .hitl-nb-actions")
    assert send.is_disabled()
    keep(notebook, "actions-open")
    verb(notebook, "send_email", "Edit").click()
    argument(notebook, "send_email", "To").fill("bob@example.org")
    page.get_by_text("changed", exact=True).wait_for()
    argument(notebook, "send_email", "Copies (as JSON)").fill("[1, 2")
    page.get_by_text("Line 1: expected a comma or the closing bracket at the end.").first.wait_for()
    keep(notebook, "actions-edit")
    argument(notebook, "send_email", "Copies (as JSON)").fill("[1, 2]")
    verb(notebook, "execute_sql", "Approve").focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.get_by_label("Reason (optional)").fill("Not on a Friday")
    page.get_by_role("button", name="Approve the other 2", exact=True).click()
    page.wait_for_function("!document.querySelector('.hitl-nb-send').disabled")
    keep(notebook, "actions-decided")
    argument(notebook, "send_email", "Body").press_sequentially("!")
    send.click()
    notebook.receipts().wait_for()
    keep(notebook, "actions-receipt")
    args = {"to": "bob@example.org", "subject": "Your refund", "body": "Hello Ana,\nwe refund 249.00 EUR today.!", "copies": [1, 2]}
    decided = [
        {"type": "edit", "edited_action": {"name": "send_email", "args": args}},
        {"type": "reject", "message": "Not on a Friday"},
        {"type": "approve"},
        {"type": "approve"},
    ]
    assert notebook.answers() == [{"decisions": decided}]
    assert notebook.js("return window.fired ?? null") is None


@pytest.mark.parametrize(("theme", "width"), [("dark", 1400), ("light", 420)])
def test_actions_and_the_json_editor_are_drawn_within_their_borders(lab, theme, width):
    notebook = lab([ACTIONS, EDIT], theme=theme, height=2000)
    if width < 1000:
        notebook.page.set_viewport_size({"width": width, "height": 3000})
    notebook.run_all()
    notebook.done(1)
    page = notebook.page
    verb(notebook, "send_email", "Edit").click()
    argument(notebook, "send_email", "Subject").fill("Your refund of 249.00 EUR")
    verb(notebook, "close_ticket", "Respond").click()
    verb(notebook, "execute_sql", "Reject").click()
    page.get_by_label("Response").fill("Leave it open until the money has arrived.")
    page.get_by_text("changed", exact=True).wait_for()
    keep(notebook, f"actions-{theme}-{width}", 0)
    assert narrow(notebook) == []
    page.get_by_label("Your edit").fill('{"limits": {"low": 0.15, "high": 0.9}, "unit": "mm", "samples": [3, 5, 8,]}')
    page.get_by_text("Line 1: there is a comma too many before ].").wait_for()
    keep(notebook, f"json-wrong-{theme}-{width}", 1)
    page.get_by_label("Your edit").fill('{"limits": {"low": 0.15, "high": 0.9}, "unit": "mm", "samples": [3, 5, 8]}')
    page.locator(".hitl-nb-diff ins").first.wait_for()
    keep(notebook, f"json-right-{theme}-{width}", 1)
    assert narrow(notebook) == []
    page.get_by_role("button", name="Send edit", exact=True).click()
    notebook.receipts().wait_for()
    assert notebook.answers("edits.jsonl") == [{"limits": {"low": 0.15, "high": 0.9}, "unit": "mm", "samples": [3, 5, 8]}]
