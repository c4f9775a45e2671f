"""The form of a schema: what it asks (`walker`), what is filled in (`draft`), and how an answer reads (`reading`)."""
