"""Pictures: what is taken for one, how a plot becomes one that is the same after every run of the node, and what is refused."""

import base64
import pickle
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from hitl_nb import DiskCacheSaver, MemorySaver, Picture, StateGraph, errors, interrupt
from hitl_nb.checkpoint.pictures import BYTES_MAX, picture_in
from hitl_nb.checkpoint.serde import Serde
from hitl_nb.decisions.pictures import with_pictures

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"><rect width="30" height="20"/></svg>'
CONFIG = {"configurable": {"thread_id": "t"}}


def image(width=4, height=3, mode="RGB"):
    return Image.new(mode, (width, height))


def encoded(form, width=4, height=3, **options):
    out = BytesIO()
    image(width, height).save(out, form, **options)
    return out.getvalue()


PNG = encoded("PNG")


def plot(**options):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 3), **options)
    axes = figure.subplots()
    axes.plot([1, 2, 3], [2, 1, 3])
    return figure


class Drawn:
    """Draws itself as notebooks ask for it."""

    def __init__(self, **forms: Any) -> None:
        self.forms = forms

    def _repr_png_(self):
        return self.forms.get("png")

    def _repr_jpeg_(self):
        return self.forms.get("jpeg")

    def _repr_svg_(self):
        return self.forms.get("svg")

    def _repr_mimebundle_(self, include=None, exclude=None):
        return self.forms.get("bundle", {})


@pytest.mark.parametrize(
    ("form", "options", "media_type"),
    [
        ("PNG", {}, "image/png"),
        ("JPEG", {}, "image/jpeg"),
        ("JPEG", {"progressive": True, "comment": b"c" * 300}, "image/jpeg"),
        ("GIF", {}, "image/gif"),
        ("WEBP", {}, "image/webp"),
        ("WEBP", {"lossless": True}, "image/webp"),
        ("WEBP", {"exif": b"Exif\0\0" + b"x" * 40}, "image/webp"),
    ],
)
def test_format_and_size_are_read_off_the_bytes(form, options, media_type):
    picture = Picture(encoded(form, 321, 45, **options))
    assert (picture.media_type, picture.width, picture.height) == (media_type, 321, 45)
    assert picture_in(picture.data) == picture


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (SVG, (30, 20)),
        (b'<?xml version="1.0"?>\n<!-- a -->\n<!DOCTYPE svg PUBLIC "-//W3C">\n<svg width="30pt" height="15pt" viewBox="0 0 1 2">', (40, 20)),
        (b'<svg viewBox="0 0 120 80"/>', (120, 80)),
        (b"<svg></svg>", (None, None)),
        (b'<svg width="100%" height="100%"></svg>', (None, None)),
    ],
)
def test_the_size_of_an_svg_is_read_where_it_is_said(data, size):
    picture = Picture(data)
    assert picture.media_type == "image/svg+xml"
    assert (picture.width, picture.height) == size
    assert picture_in(data) is None  # only a Picture says that text is one


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"plain",
        b"<html><svg></svg></html>",
        b"<script>alert(1)</script>",
        b'<!DOCTYPE svg [<!ENTITY a "aa">]><svg>&a;</svg>',
        b'<!DOCTYPE svg [<!ENTITY a "><svg ">]><svg>&a;</svg>',
        b"<!-- a -->" * 300 + b"x",
        b"RIFF\0\0\0\0WAVE",
    ],
)
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(errors.PictureError, match="the data is not PNG, JPEG"):
        Picture(data)
    assert picture_in(data) is None


def test_bytes_that_say_to_be_another_format_are_refused():
    with pytest.raises(errors.PictureError, match="not image/jpeg: it begins with .*PNG.*which is image/png"):
        Picture(PNG, "image/jpeg")
    assert Picture(PNG, "image/png").width == 4
    with pytest.raises(errors.PictureError, match="takes bytes"):
        Picture("x.png")  # type: ignore[arg-type]
    with pytest.raises(errors.PictureError, match="numbers of pixels"):
        Picture(PNG, width="4")  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [PNG[:8], b"GIF89a", b"\xff\xd8\xff", b"\xff\xd8\xff" + b"\xff" * 50, b"RIFF\0\0\0\0WEBPVP8 "])
def test_bytes_that_only_begin_like_a_picture_are_not_guessed_to_be_one(data):
    assert picture_in(data) is None
    assert Picture(data).size == ""


def test_a_picture_in_words():
    assert str(Picture(PNG)) == "[picture: 4 x 3]"
    assert str(Picture(PNG, alt="Sales\n by month")) == "[picture: Sales by month, 4 x 3]"
    assert Picture(PNG).words("Plot") == "Plot, 4 x 3"
    assert repr(Picture(PNG, alt="a")) == f"Picture('image/png', 4 x 3, {len(PNG)} bytes, alt='a')"
    assert Picture(b"<svg></svg>").words() == "no description"


# -- objects of other libraries


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "F", "I", "I;16"])
def test_an_image_of_every_mode_becomes_a_png(mode):
    picture = Picture.of(image(7, 5, mode), alt="seven by five")
    assert (picture.media_type, picture.size, picture.alt) == ("image/png", "7 x 5", "seven by five")
    assert Image.open(BytesIO(picture.data)).size == (7, 5)


@pytest.mark.parametrize("options", [{}, {"layout": "tight"}, {"layout": "constrained"}, {"dpi": 30}])
def test_a_plot_becomes_the_same_png_each_time_it_is_made_and_drawn(options):
    figure = plot(**options)
    first = Picture.of(figure)
    assert first == Picture.of(figure) == Picture.of(plot(**options))
    assert first.media_type == "image/png"
    assert first.width is not None
    assert 500 < first.width < 700  # 4 inches, whatever the user's settings say
    assert b"Software" not in first.data


def test_a_users_settings_do_not_change_the_picture_of_a_plot():
    import matplotlib as mpl

    figure = plot()
    before = Picture.of(figure)
    theirs = {"savefig.dpi": 40, "savefig.transparent": True, "savefig.format": "svg", "savefig.pad_inches": 2}
    for bbox in ("standard", "tight"):
        with mpl.rc_context({**theirs, "savefig.bbox": bbox}):
            assert Picture.of(figure) == before


def test_axes_and_parts_of_a_figure_are_drawn_as_the_whole_figure():
    from matplotlib.figure import Figure

    figure = Figure()
    left, right = figure.subfigures(1, 2)
    axes = left.subplots()
    right.subplots()
    assert Picture.of(axes) == Picture.of(left) == Picture.of(figure)


@pytest.mark.parametrize(
    ("forms", "media_type"),
    [
        ({"png": PNG}, "image/png"),
        ({"png": base64.b64encode(PNG).decode()}, "image/png"),
        ({"png": (PNG, {"width": 2})}, "image/png"),
        ({"jpeg": encoded("JPEG"), "svg": SVG.decode()}, "image/jpeg"),
        ({"svg": SVG.decode()}, "image/svg+xml"),
        ({"bundle": {"text/html": "<b>", "image/png": base64.b64encode(PNG).decode() + "\n", "text/plain": "p"}}, "image/png"),
        ({"bundle": ({"image/svg+xml": SVG.decode()}, {})}, "image/svg+xml"),
    ],
)
def test_a_rich_object_is_shown_by_its_own_picture(forms, media_type):
    assert Picture.of(Drawn(**forms)).media_type == media_type
    assert with_pictures({"a": [Drawn(**forms)]})["a"][0].media_type == media_type


def test_what_is_stored_as_it_is_and_draws_itself_is_left_as_it_is_and_shown_as_a_picture():
    builder = StateGraph()
    builder.add_node("a", lambda s: s)
    builder.set_entry_point("a")
    drawing = builder.compile().draw()
    assert with_pictures({"graph": drawing})["graph"] is drawing
    assert picture_in(drawing).media_type == "image/svg+xml"
    assert picture_in(Drawn(png="?nothing?")) is None
    assert picture_in(Drawn()) is None


@pytest.mark.parametrize(
    "forms", [{}, {"bundle": {"text/html": "<img src=x onerror=alert(1)>", "application/javascript": "alert(1)"}}, {"bundle": None}]
)
def test_html_and_script_of_a_rich_object_are_never_used(forms):
    with pytest.raises(errors.PictureError, match="has no picture"):
        Picture.of(Drawn(**forms))
    value = Drawn(**forms)
    assert with_pictures([value])[0] is value


def test_a_class_and_an_object_that_answers_to_every_name_are_no_pictures():
    class Anything:
        def __getattr__(self, name):
            return lambda *a, **k: PNG

    for value in (Drawn, Anything(), object(), lambda: PNG, "text", 5):
        with pytest.raises(errors.PictureError, match="has no picture"):
            Picture.of(value)


def test_a_picture_of_a_file_and_of_a_picture(tmp_path):
    (tmp_path / "x.png").write_bytes(PNG)
    assert Picture.of(tmp_path / "x.png", alt="x") == Picture(PNG, alt="x") == Picture.of(Picture(PNG, alt="y"), alt="x")
    assert Picture.of(Picture(PNG, alt="y")).alt == "y"
    assert Picture.of(bytearray(PNG)) == Picture(PNG)


def test_neither_pillow_nor_matplotlib_is_loaded_by_looking_for_pictures():
    code = (
        "import sys\nfrom hitl_nb.decisions.pictures import with_pictures\nwith_pictures({'a': object(), 'b': [1]})\n"
        "print([m for m in ('PIL', 'matplotlib', 'numpy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"


# -- in a payload


def test_a_payload_without_pictures_stays_the_object_it_is():
    payload: dict[str, Any] = {"a": [1, (2, {"b": PNG})], "c": {3}}
    assert with_pictures(payload) is payload
    payload["self"] = payload
    assert with_pictures(payload) is payload


def test_pictures_are_replaced_at_any_depth_and_the_payload_is_not_touched():
    payload = {"q": "?", 3: [{"plots": (plot(), image())}], "n": None}
    made = with_pictures(payload)
    assert isinstance(made[3][0]["plots"][1], Picture)
    assert isinstance(made[3][0]["plots"], tuple)
    assert list(made) == ["q", 3, "n"]
    assert not isinstance(payload[3][0]["plots"][0], Picture)


def test_an_array_is_not_guessed_to_be_a_picture():
    import numpy as np

    array = np.zeros((5, 5, 3), np.uint8)
    assert with_pictures({"a": array})["a"] is array


def noise(width, height):
    """A PNG of about as many bytes as it has samples."""
    import numpy as np

    return Image.fromarray(np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8))


def test_a_picture_that_is_too_large_is_refused_with_its_place_and_what_to_do():
    with pytest.raises(errors.PictureError, match=r"payload\['scans'\]\[1\]: the picture has 6\.\d MB; at most 5 MB.*thumbnail") as caught:
        with_pictures({"scans": [image(), noise(1500, 1400)]})
    assert caught.value.path == "payload['scans'][1]"
    assert pickle.loads(pickle.dumps(caught.value)).path == caught.value.path
    assert picture_in(PNG + b"\0" * BYTES_MAX) is None


def test_drawing_that_fails_says_what_and_where():
    class Broken:
        def _repr_png_(self):
            raise RuntimeError("no canvas")

    with pytest.raises(errors.PictureError, match=r"payload\['a'\]: the picture of a .*Broken could not be drawn: RuntimeError: no canvas"):
        with_pictures({"a": Broken()})
    for text, reason in (("abcde", "its text is no base64"), ("?nothing?", "its text is no base64"), ("AAAA", "the data is not PNG")):
        with pytest.raises(errors.PictureError, match=reason):
            with_pictures({"a": Drawn(png=text)})


def test_a_stored_picture_comes_back_and_altered_bytes_do_not():
    serde = Serde()
    picture = Picture(PNG, alt="a")
    data = serde.dumps({"p": [picture]}, "payload")
    assert serde.loads(data) == {"p": [picture]}
    assert serde.digest(picture, "p") != serde.digest(Picture(PNG, alt="b"), "p")
    with pytest.raises(errors.CorruptStoreError, match="the data is not image/png"):
        serde.loads(data.replace(b"\x89PNG", b"<svg"))


def asking(make):
    """A graph whose node makes its payload anew in each run, asks twice and keeps both answers."""

    def node(state):
        return {"a": interrupt(make("first")), "b": interrupt(make("second"))}

    builder = StateGraph()
    builder.add_node("look", node)
    builder.set_entry_point("look")
    return builder


@pytest.mark.parametrize("store", ["memory", "disk"])
@pytest.mark.parametrize(
    "make",
    [
        lambda name: {"question": f"Is the {name} fine?", "plot": plot(), "data": {"scan": image(9, 9)}},
        lambda name: plot() if name == "first" else [image(), Drawn(svg=SVG.decode())],
    ],
)
def test_a_node_that_draws_its_plots_anew_gets_its_answers_also_after_a_restart(make, store, tmp_path):
    builder = asking(make)
    saver = MemorySaver() if store == "memory" else DiskCacheSaver(tmp_path)
    builder.compile(checkpointer=saver).invoke({}, CONFIG)
    for answer in ("yes", "no"):
        if store == "disk":
            saver.close()
            saver = DiskCacheSaver(tmp_path)
        graph = builder.compile(checkpointer=saver)
        asked = graph.get_state(CONFIG).tasks[0].interrupts[0].value
        assert "Picture('image/png'" in repr(asked)
        from hitl_nb import Command

        result = graph.invoke(Command(resume=answer), CONFIG)
    assert {k: result[k] for k in ("a", "b")} == {"a": "yes", "b": "no"}
    saver.close()


def test_a_plot_that_shows_something_else_is_another_question():
    from hitl_nb import Command

    drawn = iter([1, 2])

    def node(state):
        figure = plot()
        figure.axes[0].set_title(f"run {next(drawn)}")
        return {"a": interrupt({"plot": figure})}

    builder = StateGraph()
    builder.add_node("look", node)
    builder.set_entry_point("look")
    graph = builder.compile(checkpointer=MemorySaver())
    graph.invoke({}, CONFIG)
    with pytest.raises(errors.QuestionChangedError):
        graph.invoke(Command(resume="yes"), CONFIG)


def test_a_plot_in_the_state_is_still_refused():
    builder = StateGraph()
    builder.add_node("draw", lambda s: {"figure": plot()})
    builder.set_entry_point("draw")
    graph = builder.compile(checkpointer=MemorySaver())
    with pytest.raises(errors.NotSerializableError, match=r"state\['figure'\]"):
        graph.invoke({}, CONFIG)


def test_a_rich_object_without_a_picture_is_refused_with_what_to_do():
    class Chart:
        def _repr_html_(self):
            return "<script>"

    builder = asking(lambda _: {"chart": Chart()})
    with pytest.raises(errors.NotSerializableError, match=r"payload\['chart'\].*Picture.of\(<the bytes of a PNG>\)"):
        builder.compile(checkpointer=MemorySaver()).invoke({}, CONFIG)


def test_a_png_with_an_absurd_size_is_a_picture_of_unknown_size():
    head = struct.pack(">II", 1 << 30, 1)
    data = PNG[:16] + head + PNG[24:29] + struct.pack(">I", zlib.crc32(PNG[12:16] + head + PNG[24:29])) + PNG[33:]
    assert Picture(data).size == ""
