"""A table that is reviewed row by row: which payloads are one, how it is looked through, and the answer that is stored.

The answer holds plain JSON data and every row once, so that it can be read without the table::

    {
        "accepted": [1, 3, 4],                        row ids: the labels of the index where they are unique ints or texts, else positions from 0
        "edited": [
            {"row": 2, "changes": {"account": {"from": "6640 Travel", "to": "6815 Software"}}},
        ],                                            each change with the value as it was asked; a missing value is None, a time its ISO text
        "rejected": [6, 9],
        "rules": [
            {"rule": "confidence < 0.7", "decision": "reject", "rows": [6, 9, 10]},
        ],                                            in the order of use, with all rows that a rule hit; row 10 was decided otherwise afterwards
    }

A rule reads the table as it was asked. A script may write less, and the rest is filled in before anything is recorded (`answer.expanded`)::

    {"accept": "all"}
    {"rules": [{"rule": "confidence < 0.7", "decision": "reject"}], "edit": {2: {"account": "6815 Software"}}, "reject": [4], "rest": "accept"}
"""
