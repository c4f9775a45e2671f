"""A picture as it is stored and shown: the bytes of a format that every browser draws, and nothing that runs."""

from __future__ import annotations

import base64
import binascii
import re
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from hitl_nb.errors import PictureError, shown

BYTES_MAX: Final = 5_000_000
"""Bytes of one picture. It travels into every card, every receipt and the saved notebook."""
MEDIA_TYPES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
_DPI: Final = 150
"""Of a plot: sharp on a screen of double density, and the same wherever the node runs again."""
_PNG_MODES: Final = ("1", "L", "LA", "I;16", "P", "RGB", "RGBA")
# No internal subset of a DOCTYPE: entities can be made to grow without end.
_COMMENTS: Final = rb"(?:<!--(?:(?!-->).)*-->\s*)*"
_SVG: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>\s*)?" + _COMMENTS + rb"(?:<!DOCTYPE\s+svg[^>\[]*>\s*)?" + _COMMENTS + rb"<svg[\s>]", re.DOTALL
)
_ROOT: Final = re.compile(rb"<svg\s[^>]*>")
_VIEW_BOX: Final = re.compile(r'\bviewBox\s*=\s*["\'][\d.+-]+[\s,]+[\d.+-]+[\s,]+([\d.]+)[\s,]+([\d.]+)')
_LENGTH: Final = r'\b{}\s*=\s*["\']\s*([\d.]+)\s*(px|pt)?\s*["\']'


@dataclass(frozen=True, slots=True, repr=False)
class Picture:
    """A picture for a reviewer, in a payload or made of a plot with `Picture.of`.

    >>> Picture(b"GIF89a" + bytes([2, 0, 1, 0]) + bytes(20), alt="a dot")
    Picture('image/gif', 2 x 1, 30 bytes, alt='a dot')
    """

    data: bytes
    media_type: str = ""
    """One of `MEDIA_TYPES`; empty: read off the data, which must agree."""
    width: int | None = None
    """In pixels; None: read off the data."""
    height: int | None = None
    alt: str = ""
    """What it shows, in words, for those who do not see it. Empty: the label of its key in the payload."""

    def __post_init__(self) -> None:
        if type(self.data) is not bytes:
            raise PictureError(f"Picture() takes bytes, got {shown(self.data)}; Picture.of() takes a plot, a PIL image or a path")
        if len(self.data) > BYTES_MAX:
            raise PictureError(
                f"the picture has {len(self.data) / 1e6:.1f} MB; at most {BYTES_MAX / 1e6:.0f} MB are shown and stored. Make it smaller first: for "
                "a PIL image image.thumbnail((1600, 1600)), for a plot a smaller figsize; or give the path of the file as a text"
            )
        found = media_type_of(self.data)
        if found is None or self.media_type not in ("", found):
            expected = self.media_type or "PNG, JPEG, GIF, WebP or SVG"
            raise PictureError(f"the data is not {expected}: it begins with {self.data[:12]!r}, which is {found or 'no format that is shown'}")
        if not isinstance(self.alt, str) or not all(n is None or (type(n) is int and n > 0) for n in (self.width, self.height)):
            raise PictureError(f"alt is a text, width and height are numbers of pixels; got {self.alt!r}, {self.width!r}, {self.height!r}")
        width, height = pixels(self.data, found)
        for name, value in (("media_type", found), ("width", self.width or width), ("height", self.height or height)):
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, value: Any, *, alt: str = "") -> Picture:
        """The picture of a matplotlib figure or axes, a PIL image, bytes, a file (as a Path), or of anything that has a PNG, JPEG or SVG of its own.

        Raises PictureError when it has none, or one that is too large.
        """
        if isinstance(value, cls):
            return replace(value, alt=alt or value.alt)
        data = value.read_bytes() if isinstance(value, Path) else bytes(value) if isinstance(value, (bytes, bytearray)) else drawn(value)
        if data is None:
            raise PictureError(
                f"{shown(value)} has no picture: expected a matplotlib figure or axes, a PIL image, the bytes or Path of a PNG, JPEG, GIF, WebP or "
                "SVG, or an object with _repr_png_, _repr_jpeg_ or _repr_svg_. Many libraries write a PNG, for example plotly with fig.to_image()"
            )
        return cls(data, alt=alt)

    @property
    def size(self) -> str:
        """`640 x 480`; empty when the data does not say."""
        return f"{self.width} x {self.height}" if self.width and self.height else ""

    def words(self, label: str = "") -> str:
        """What stands for it in a text: `Sales by month, 640 x 480`. `label` is used when it has no `alt`."""
        return ", ".join(filter(None, (" ".join((self.alt or label).split()), self.size))) or "no description"

    def __str__(self) -> str:
        return f"[picture: {self.words()}]"

    def __repr__(self) -> str:
        parts = [repr(self.media_type), self.size, f"{len(self.data)} bytes", f"alt={self.alt!r}" if self.alt else ""]
        return f"Picture({', '.join(filter(None, parts))})"


def picture_in(value: Any) -> Picture | None:
    """The picture that a value of a stored payload is: a Picture, the bytes of a whole PNG, JPEG, GIF or WebP, or an object that draws itself."""
    if isinstance(value, Picture):
        return value
    if type(value) is bytes:
        kind = media_type_of(value) if len(value) <= BYTES_MAX else None
        return Picture(value) if kind is not None and kind != "image/svg+xml" and None not in pixels(value, kind) else None
    try:
        data = None if isinstance(value, (str, int, float, list, dict, tuple)) else drawn(value)
        return None if data is None else Picture(data)
    except PictureError:
        return None


def drawn(value: Any) -> bytes | None:
    """The bytes of a picture that an object of another library draws of itself; None: it has none.

    The same object makes the same bytes, today and in another process: a question is bound to what it shows. Raises PictureError when drawing fails.
    """
    kind = type(value)
    if issubclass(kind, type):
        return None
    try:
        pil = sys.modules.get("PIL.Image")
        if pil is not None and issubclass(kind, pil.Image):
            return _png(value)
        plot = _figure(value)
        return _rich(value) if plot is None else _plot(plot)
    except PictureError:
        raise
    except Exception as error:
        raise PictureError(f"the picture of a {kind.__module__}.{kind.__qualname__} could not be drawn: {type(error).__name__}: {error}") from error


def _png(image: Any) -> bytes:
    out = BytesIO()
    (image if image.mode in _PNG_MODES else image.convert("RGB")).save(out, "PNG")
    return out.getvalue()


def _figure(value: Any) -> Any:
    """The whole matplotlib figure that a figure, a part of one or its axes belong to. Who has a figure has matplotlib loaded."""
    figures, axes = sys.modules.get("matplotlib.figure"), sys.modules.get("matplotlib.axes")
    if figures is None or axes is None or not issubclass(type(value), (figures.FigureBase, axes.Axes)):
        return None
    while not isinstance(value, figures.Figure):
        value = value.figure
    return value


def _plot(figure: Any) -> bytes:
    out = BytesIO()
    # Everything that a user's settings could change is said, and the version of matplotlib is left out, so that the bytes are the same again.
    figure.savefig(
        out,
        format="png",
        dpi=_DPI,
        metadata={"Software": None},
        bbox_inches="tight",
        pad_inches=0.1,
        facecolor="auto",
        edgecolor="auto",
        transparent=False,
    )
    return out.getvalue()


def _rich(value: Any) -> bytes | None:
    """From the methods that notebooks know, but only pictures of them: HTML and JavaScript would run."""
    kind, bundle = type(value), None
    for media_type, name in (("image/png", "_repr_png_"), ("image/jpeg", "_repr_jpeg_"), ("image/svg+xml", "_repr_svg_")):
        # looked up on the class: some objects answer to any name
        data = getattr(value, name)() if callable(getattr(kind, name, None)) else None
        if data is None and callable(getattr(kind, "_repr_mimebundle_", None)):
            if bundle is None:
                made = value._repr_mimebundle_(include=["image/png", "image/jpeg", "image/svg+xml"], exclude=["text/html", "application/javascript"])
                bundle = made[0] if isinstance(made, tuple) else made
            data = bundle.get(media_type) if isinstance(bundle, Mapping) else None
        data = data[0] if isinstance(data, tuple) else data  # with metadata
        if isinstance(data, str):
            data = data.encode() if media_type == "image/svg+xml" else _decoded(data)
        if isinstance(data, (bytes, bytearray)):
            return bytes(data)
    return None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise PictureError(f"its text is no base64: {error}") from error


# -- what the bytes say


def media_type_of(data: bytes) -> str | None:
    """The format by the first bytes, whatever anybody says it is; None: none that is shown."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return "image/svg+xml" if _SVG.match(data[:4096]) else None


def pixels(data: bytes, media_type: str) -> tuple[int | None, int | None]:
    """Width and height as the header says them; None for both when it does not."""
    try:
        width, height = _SIZES[media_type](data)
    except (struct.error, IndexError, ValueError):
        return None, None
    return (width, height) if 0 < width < 1 << 20 and 0 < height < 1 << 20 else (None, None)


def _png_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _gif_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack("<HH", data[6:10])
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # filling
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise ValueError("no frame")


def _webp_size(data: bytes) -> tuple[int, int]:
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack("<HH", data[26:30])
    return width & 0x3FFF, height & 0x3FFF


def _svg_size(data: bytes) -> tuple[int, int]:
    root = _ROOT.search(data[:20_000])
    text = root[0].decode("utf-8", "replace") if root else ""
    width, height = (re.search(_LENGTH.format(name), text) for name in ("width", "height"))
    if width and height:
        return _css_pixels(width), _css_pixels(height)
    box = _VIEW_BOX.search(text)
    if box is None:
        raise ValueError("no size")
    return round(float(box[1])), round(float(box[2]))


def _css_pixels(length: re.Match[str]) -> int:
    return round(float(length[1]) * (4 / 3 if length[2] == "pt" else 1))


_SIZES: Final = {"image/png": _png_size, "image/jpeg": _jpeg_size, "image/gif": _gif_size, "image/webp": _webp_size, "image/svg+xml": _svg_size}
