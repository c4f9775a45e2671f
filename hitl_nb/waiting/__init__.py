"""What waits for an answer, over all threads of a store: the model of the inbox and of the commands that answer.

::

    listing.py     which questions are open, filtered and in order
    finding.py     one question, by its id or the beginning of it
    recording.py   an answer, checked and stored without running the graph
    alike.py       which questions can be answered together
    resuming.py    the graphs go on with the answers
    board.py       the lines of an inbox, in an order that stays until another is asked for
    together.py    one answer for many: who gets it, who does not, and why
    watching.py    whether anything was committed since the last look

Nothing here draws, and only resuming.py runs anything.
"""

from hitl_nb.waiting.alike import Kind, kind_of
from hitl_nb.waiting.finding import find, short_id
from hitl_nb.waiting.listing import Filters, Order, waiting
from hitl_nb.waiting.recording import record_answer, record_answers
from hitl_nb.waiting.resuming import Graphs

__all__ = ["Filters", "Graphs", "Kind", "Order", "find", "kind_of", "record_answer", "record_answers", "short_id", "waiting"]
