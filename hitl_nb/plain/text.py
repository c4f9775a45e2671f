"""The text of a file that a person wrote: found, not too large, and UTF-8."""

from __future__ import annotations

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from pathlib import Path
from typing import Final, Literal

from hitl_nb.errors import AnswersFileError

Kind = Literal["yaml", "json", "jsonl"]
SIZE_MAX: Final = 32 * 1024 * 1024
"""Bytes of a file."""
_KINDS: Final[dict[str, Kind]] = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_MARKS: Final = ((BOM_UTF32_LE, "UTF-32"), (BOM_UTF32_BE, "UTF-32"), (BOM_UTF16_LE, "UTF-16"), (BOM_UTF16_BE, "UTF-16"))
"""UTF-32 first: its mark begins with that of UTF-16."""


def is_data(given: str) -> bool:
    """True for a text that is the data itself: it has a line break, or starts with [ or {. Everything else is a path."""
    return "\n" in given or given.lstrip()[:1] in ("[", "{")


def text_of(given: str | Path, source: str) -> tuple[str, str, Kind]:
    """The text, what messages call it, and how it is written.

    Raises AnswersFileError.
    """
    if isinstance(given, str) and is_data(given):
        if len(given) > SIZE_MAX:
            raise _too_large(f"the text of {source}")
        return given, source, "yaml"
    path = Path(given).expanduser()
    try:
        return file_text(path, str(given)), str(given), _KINDS.get(path.suffix.lower(), "yaml")
    except FileNotFoundError:
        raise AnswersFileError(
            f"{source} names the answers file {str(given)!r}, which does not exist in {Path.cwd()}. To give one answer itself, put it in a list: "
            f"[{str(given)!r}]"
        ) from None
    except AnswersFileError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a path that holds a null byte
        raise AnswersFileError(f"{source} names the answers file {str(given)!r}, which cannot be read: {error}") from None


def file_text(path: Path, name: str, expected: str = "an answers file") -> str:
    """The text of a file that is not too large, and UTF-8. Raises AnswersFileError, which calls it `name`, and OSError."""
    with path.open("rb") as file:
        data = b""
        while len(data) <= SIZE_MAX and (more := file.read(1 << 20)):  # a pipe does not say its size before
            data += more
    if len(data) > SIZE_MAX:
        raise _too_large(name, expected)
    return _decoded(data, name)


def _too_large(what: str, expected: str = "an answers file") -> AnswersFileError:
    return AnswersFileError(f"{what} has more than {SIZE_MAX // 1024 // 1024} MiB; expected {expected}. Nothing of it was read")


def _decoded(data: bytes, name: str) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            raise _encoding(name, f"is {encoding}")
    if b"\0" in data[:4]:
        raise _encoding(name, "holds null bytes: it is UTF-16 without a mark, or no text")
    try:
        return data.removeprefix(BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        cut = " The file ends inside a character: was it cut short?" if error.end >= len(data) and error.reason == "unexpected end of data" else ""
        line = data.count(b"\n", 0, error.start) + 1
        raise _encoding(f"{name}, line {line}", f"holds the byte 0x{error.object[error.start]:02x}, which is not UTF-8 (Latin-1?).{cut}") from None


def _encoding(name: str, why: str) -> AnswersFileError:
    return AnswersFileError(f"{name} {why.removesuffix('.')}. Expected UTF-8: save the file in that encoding")
