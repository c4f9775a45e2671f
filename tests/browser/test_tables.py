"""A table that is decided row by row: by mouse, by keyboard, by rule, in light, dark and narrow. `HITL_NB_SHOTS=folder` keeps the pictures."""

import os
from pathlib import Path

import pytest

LEDGER = """import pandas as pd
from stage import *
ledger = pd.DataFrame(
    [("INV-2041", "Northwind Traders", "6815 Software", 1290.0, .98), ("INV-2042", "Acme GmbH", "6640 Travel", 412.5, .71),
     ("INV-2043", "Contoso Ltd", "6815 Software", 89.0, .96), ("INV-2044", "Blue Yonder Airlines", "6640 Travel", 1730.2, .93),
     ("INV-2045", "Fabrikam Logistics and Warehousing B.V.", "6780 Freight", 640.0, .88), ("INV-2046", "Tailspin Toys", "6300 Other", 58.9, .42),
     ("INV-2047", "Acme GmbH", "6815 Software", 210.0, .97), ("INV-2048", "Litware <b>Inc</b>", "6815 Software", 3400.0, .91),
     ("INV-2049", "Contoso Ltd", "6640 Travel", 77.4, .55), ("INV-2050", "Graphic Design Institute", None, 950.0, .64)],
    columns=["invoice", "vendor", "account", "amount", "confidence"], index=range(1, 11))
d = Desk()
d.ask(payload={"question": "Are these accounts right?", "table": ledger}, graph="ledger", node="check_accounts", thread_id="nov-2026", id="id-ledger")"""


def keep(notebook, name):
    if "HITL_NB_SHOTS" in os.environ:
        notebook.shot(Path(os.environ["HITL_NB_SHOTS"]) / f"{name}.png")


@pytest.mark.parametrize(("theme", "width"), [("light", 1400), ("dark", 1400), ("light", 420)])
def test_a_table_in_all_its_states_is_drawn_within_its_card(lab, theme, width):
    notebook = lab([LEDGER], theme=theme, width=1400, height=1400)
    if width < 1000:
        notebook.page.set_viewport_size({"width": width, "height": 1600})
    notebook.run(0)
    card = notebook.card()
    card.locator("tbody tr").nth(9).wait_for()
    keep(notebook, f"table-open-{theme}-{width}")
