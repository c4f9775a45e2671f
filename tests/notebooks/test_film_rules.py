"""The rules of notebook 02: what they find in the real table, and what a decision does to a cell."""

from collections import Counter

import film_rules
import pytest


@pytest.fixture(scope="module")
def films():
    return film_rules.read_films()


@pytest.fixture(scope="module")
def findings(films):
    return film_rules.find(films)


def proposed(findings, rule):
    return {f["film"]: f["proposed"] for f in findings if f["rule"] == rule}


def test_reading_and_writing_the_table_changes_no_byte(films):
    assert films.to_csv(index=False, lineterminator="\n").encode() == film_rules.DATA.read_bytes()


def test_the_table_is_the_whole_one(films):
    assert films.shape == (3201, 16)


def test_the_rules_find_what_is_wrong_with_the_real_table(findings):
    assert Counter(f["rule"] for f in findings) == {
        "date_in_the_future": 22,
        "mangled_letters": 18,
        "date_of_the_epoch": 8,
        "article_at_the_end": 4,
        "tiny_budget": 2,
        "no_title": 1,
        "doubled_quotes": 1,
        "very_short": 1,
    }


def test_a_year_of_two_digits_is_put_back_a_century(findings):
    dates = proposed(findings, "date_in_the_future")
    assert dates["Gone with the Wind"] == "Dec 15 1939"
    assert dates["The Birth of a Nation"] == "Feb 08 1915"


def test_a_film_announced_for_2011_is_not_in_the_future(findings):
    assert "The Adventures of Tintin: Secret of the Unicorn" not in proposed(findings, "date_in_the_future")


def test_mangled_letters_become_readable_and_real_symbols_stay(findings):
    titles = proposed(findings, "mangled_letters")
    assert titles["Le Fabuleux destin d'AmÈlie Poulain"] == "Le Fabuleux destin d'Amélie Poulain"
    assert titles["The Naked Gun 2Ω: The Smell of Fear"] == "The Naked Gun 2½: The Smell of Fear"
    assert not {"Alien³", "Ri¢hie Ri¢h"} & titles.keys()


def test_few_findings_of_a_rule_are_asked_one_by_one_and_many_as_the_first_and_the_others(findings):
    groups = film_rules.group(findings)
    assert [len(g) for g in groups] == [1, 21, 1, 7, 1, 17, 1, 3, 1, 1, 1, 1, 1]
    assert [f for g in groups for f in g] == findings


def test_every_question_is_asked_in_other_words(films, findings):
    questions = [film_rules.question(g, films)["question"] for g in film_rules.group(findings)]
    assert len(set(questions)) == len(questions) == 13


def test_accept_takes_the_proposal_edit_the_text_and_reject_keeps_the_cell(findings):
    [tarnation] = [f for f in findings if f["film"] == "Tarnation"]
    for answer, new in (
        ({"action": "accept"}, "218000"),
        ({"action": "accept_all"}, "218000"),
        ({"action": "edit", "edited_text": "219"}, "219"),
        ({"action": "reject", "feedback": "it is"}, "218"),
        ({"action": "reject_all"}, "218"),
    ):
        [decided] = film_rules.decide([tarnation], answer)
        assert (decided["new"], decided["comment"]) == (new, answer.get("feedback", ""))


def test_applying_changes_the_decided_cells_only(films, findings):
    decided = film_rules.decide(findings, {"action": "accept"})
    cleaned = film_rules.apply(films, decided)
    changed = films.ne(cleaned).stack()
    assert {(r, c) for (r, c), different in changed.items() if different} == {(f["row"], f["column"]) for f in findings}
    assert films.at[2920, "Production Budget"] == "218", "the table that came in is as it was"


def test_two_decisions_about_one_cell_leave_the_last(films):
    finding = {"row": 0, "column": "Title", "now": "The Land Girls"}
    cleaned = film_rules.apply(films, [{**finding, "new": "A"}, {**finding, "new": "B"}])
    assert cleaned.at[0, "Title"] == "B"
