"""Two texts side by side."""

import re
from html import unescape

from hypothesis import example, given
from hypothesis import strategies as st

from hitl_nb.decisions.wording import straight
from hitl_nb.widgets.diff import side_by_side


def sides(html):
    """The two texts as they can be read off the table; None where a run was folded."""
    left, right = [], []
    for row in re.findall(r"<tr[^>]*>(.*?)</tr>", html.split("<tbody>")[1], re.DOTALL):
        cells = re.findall(r'<td class="([^"]*)"[^>]*>(.*?)</td>', row, re.DOTALL)
        if "hitl-nb-gap" in cells[0][0]:
            return None
        for side, (kind, text) in zip((left, right), cells, strict=True):
            if "hitl-nb-none" not in kind:
                side.append(unescape(re.sub(r"</?(del|ins)>", "", text)))
    return "\n".join(left), "\n".join(right)


texts = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12), max_size=6).map("\n".join)


@given(texts, texts)
@example("", "a\u202db")
def test_both_texts_can_be_read_off_the_table_whatever_they_hold(old, new):
    read = sides(side_by_side(old, new))
    assert read in ((straight(old), straight(new)), None)


def test_changed_words_are_marked_on_both_sides():
    html = side_by_side("By 1750 the most popular drink", "By 1750 the everyday drink")
    assert "By 1750 the <del>most popular</del> drink" in html
    assert "By 1750 the <ins>everyday</ins> drink" in html


def test_a_long_unchanged_run_is_folded_and_says_how_long_it_is():
    old = "\n".join(map(str, range(100)))
    html = side_by_side(old, old.replace("50", "fifty"))
    assert "47 unchanged lines" in html
    assert html.count("<tr") == 1 + 1 + 7 + 1


def test_line_ends_alone_are_no_change():
    assert "<ins>" not in side_by_side("a\r\nb", "a\nb")


def test_a_huge_text_is_not_compared_line_by_line():
    html = side_by_side("a\n" * 3000, "b\n" * 3000)
    assert "Too long to compare here" in html


def test_very_long_lines_are_marked_whole():
    html = side_by_side("a " * 5000, "b " * 5000)
    assert html.count("<del>") == 1
