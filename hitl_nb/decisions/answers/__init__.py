"""Scripted answers: a list, a mapping by node, or an answers file; which entry answers a question; the tape, which is such a file.

::

    reading.py      a path, a text (see hitl_nb.plain) or data -> Script
    entry.py        one entry: what it fits, and the answer that it gives
    script.py       Script: which entry answers
    suggestion.py   the YAML to add or to change
    lint.py         a file against the questions of a store
    values.py       values that YAML does not have, as plain data and back
"""

from hitl_nb.decisions.answers.reading import read_script
from hitl_nb.decisions.answers.script import OnChange, OnMissing, OnUnused, Script
from hitl_nb.decisions.answers.suggestion import suggestion

__all__ = ["OnChange", "OnMissing", "OnUnused", "Script", "read_script", "suggestion"]
