"""Running a graph with the people who answer it."""

from hitl_nb.session.opening import review
from hitl_nb.session.session import ReviewSession

__all__ = ["ReviewSession", "review"]
