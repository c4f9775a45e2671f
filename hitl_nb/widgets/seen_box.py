"""The box of an output, which knows the pages that show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets

from hitl_nb.responders.kernel import running_page


class SeenBox(ipywidgets.VBox):  # type: ignore[misc, unused-ignore]
    """A page counts its views on from what it was given, and says nothing when it is closed or loaded again: so the count alone may be of a page
    that is gone.
    """

    def __init__(self, *given: Any, **traits: Any) -> None:
        self._made_in = running_page()
        self._before: dict[str, int] = {}
        """The count that each page began with."""
        self._views: dict[str, int] = {}
        super().__init__(*given, **traits)
        self._view_count = 0  # makes the front end report how many views it has drawn

    def is_seen_in(self, page: str) -> bool:
        """Whether this page has drawn it, and has not taken it away. A front end may draw under another name than it runs cells by, so the page
        in which it was made is believed to be the one that drew it until it says otherwise.
        """
        if page in self._views:
            return self._views[page] > 0
        return page == self._made_in and bool(self._view_count)

    def _handle_msg(self, message: Any) -> None:
        self._note(message["header"].get("session", ""), message["content"]["data"].get("state", {}))
        super()._handle_msg(message)

    def _note(self, page: str, state: Mapping[str, Any]) -> None:
        count = state.get("_view_count")
        if isinstance(count, int):
            self._views[page] = count - self._before.setdefault(page, count - 1)
