"""The inbox: the open questions of a store in a notebook.

::

    opening.py   inbox(): the list, live, static or printed
    view.py      the widget: what is listed, what is open, what a person does
    tree.py      what is drawn; filters.py the bar above it, rows.py one line each
    card.py      the question that is open
    bulk.py      one answer for many alike
    answers.py   what was answered is recorded, and the graphs at hand go on
    static.py    the list where nobody can answer
"""
