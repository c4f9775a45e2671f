"""Text of others as HTML that shows what is there."""

from __future__ import annotations

import html

from hitl_nb.decisions.wording import straight


def escape(text: str) -> str:
    """No markup of the text counts, and no letter in it turns around what follows."""
    return html.escape(straight(text))
