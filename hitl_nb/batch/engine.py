"""The papermill engine `hitl`."""

from __future__ import annotations

from papermill.engines import NBClientEngine


class HitlEngine(NBClientEngine):
    """Runs a notebook, and stops cleanly at a question that nobody answers."""
