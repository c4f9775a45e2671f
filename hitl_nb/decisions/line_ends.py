"""The line ends of a text that was in a browser's text field, which turns them all into a bare newline."""

from __future__ import annotations


def bare(text: str) -> str:
    """With bare newlines, as a text field holds it."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def ended_like(original: str, text: str) -> str:
    r"""The text with the line ends of its original; the original itself when nothing else differs, whatever line ends it mixes.

    >>> ended_like("one\r\ntwo", "one\nthree")
    'one\r\nthree'
    >>> ended_like("one\r\ntwo\n", "one\ntwo\n")
    'one\r\ntwo\n'
    """
    typed = bare(text)
    if typed == bare(original):
        return original
    return typed.replace("\n", "\r\n") if "\r\n" in original else text
