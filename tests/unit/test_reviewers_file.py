"""The reviewers file: what it may say, what is refused, and that it is read again when it changes."""

from __future__ import annotations

import pickle

import pytest

from hitl_nb import DiskCacheSaver, MemorySaver
from hitl_nb.checkpoint.entitlement import Rules
from hitl_nb.checkpoint.questions import OpenQuestion
from hitl_nb.checkpoint.records import Question, utc_now
from hitl_nb.checkpoint.reviewers import Reviewers, ReviewersFile, folded
from hitl_nb.errors import ReviewersFileError

TEXT = "reviewers:\n  dana: [legal, finance]\n  lee: {name: Lee Ng, roles: [finance]}\n  kim:\n"


def brief(**terms):
    return OpenQuestion.of(Question("q", "t", "pay", "task", 0, "", "Pay?", utc_now(), **terms))


def named(people):
    return [p.id for p in people]


# -- what it says -----------------------------------------------------------------------------------------------------------------------


def test_names_full_names_and_roles_are_found_however_they_are_written():
    people = Reviewers.of({"reviewers": {"dana": ["legal", "Finance"], "lee": {"name": "Lee Ng", "roles": ["finance"]}, "kim": None}})
    assert [people.person(n).id for n in ("DANA ", "lee", "lee  ng", "\uff2b\uff29\uff2d")] == ["dana", "lee", "lee", "kim"]
    assert [people.voter(n) for n in ("Lee Ng", "LEE", "Zoe ")] == ["lee", "lee", "zoe"]
    assert named(people.asked("FINANCE")) == ["dana", "lee"]
    assert named(people.asked("lee ng")) == ["lee"]
    assert named(people.asked(None)) == ["dana", "lee", "kim"]
    assert people.asked("legl") == ()


def test_names_are_compared_without_case_spaces_and_ways_of_writing_an_accent():
    assert folded(" José\u00a0 María\n") == folded("JOSE\u0301 MARI\u0301A") == "josé maría"
    assert folded("Straße") == folded("STRASSE")
    assert folded("\u1e9b\u0323") == folded("\u1e61\u0323"), "normal again after the case is gone"


@pytest.mark.parametrize(
    "name", ["dana\u200b", "\ufeffdana", "da\u00adna", "dana\u2060", "dana\ufe0f", "d\u034fana", "\u202edana", "\u3164dana", "da\x00na"]
)
def test_a_letter_that_nobody_sees_makes_no_other_name(name):
    assert folded(name) == "dana"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ([], r"\[\]; expected `reviewers:` with a list of roles for each name"),
        ({}, "expected `reviewers:`"),
        ({"reviewers": {}}, "expected `reviewers:`"),
        ({"reviewers": ["dana"]}, "expected `reviewers:`"),
        ({"reviewers": {"dana": []}, "more": 1}, "expected `reviewers:`"),
        ({"reviewers": {"dana": "legal"}}, r"reviewer 'dana' has the roles 'legal'; expected a list, such as \[legal\]"),
        ({"reviewers": {"dana": {"role": []}}}, "reviewer 'dana' has the unknown key 'role'; expected name and roles"),
        ({"reviewers": {"dana": [1]}}, "reviewer 'dana', a role is 1; expected a name"),
        ({"reviewers": {"dana": [""]}}, "a role is ''; expected a name"),
        ({"reviewers": {7: []}}, "reviewer 7 is 7; expected a name"),
        ({"reviewers": {"dana": {"name": ""}}}, "name is ''; expected a name"),
        ({"reviewers": {"dana": [], "Dana ": []}}, "'dana' and 'Dana ' are both called 'dana'"),
        ({"reviewers": {"dana": [], "lee": {"name": "DANA"}}}, "'dana' and 'lee' are both called 'dana'"),
        ({"reviewers": {"dana": ["Legal"], "legal": []}}, "'legal' is a reviewer and a role, so an assignee of that name says not which"),
    ],
)
def test_what_contradicts_itself_is_refused(data, what):
    with pytest.raises(ReviewersFileError, match=what):
        MemorySaver(reviewers=data)


def test_what_is_in_the_way_is_told_while_the_question_is_open():
    rules = Rules(Reviewers.of({"reviewers": {"dana": ["legal"], "sam": ["finance"], "lee": ["finance"]}}, "/x/reviewers.yaml"))
    assert rules.hurdle(brief(assignee="finance", quorum=2)) == ""
    assert rules.hurdle(brief(assignee="legal", quorum=2)) == (
        "2 reviewers have to answer, and dana may by reviewers.yaml, so it stays open until that names more."
    )
    assert rules.hurdle(brief(assignee="legal", four_eyes=("Dana",))).startswith("Somebody has to answer, and nobody may")
    assert rules.hurdle(brief(assignee="legl")).startswith("'legl' is neither a reviewer nor a role in reviewers.yaml, so nobody can answer")
    assert rules.hurdle(brief(assignee="finance", quorum=3), ["dana"]) == ""
    assert Rules().hurdle(brief(assignee="legl", quorum=9)) == ""


# -- where it lies -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["reviewers.yaml", "reviewers.yml", "reviewers.json"])
def test_a_file_beside_the_store_is_obeyed_by_every_opener_also_before_there_is_a_store(tmp_path, name):
    (tmp_path / name).write_text(TEXT if not name.endswith("json") else '{"reviewers": {"dana": ["legal"]}}')
    for _ in range(2):
        with DiskCacheSaverClosed(tmp_path) as saver:
            assert saver.open_questions() == []
            assert "dana" in named(saver.rules().reviewers.people)


class DiskCacheSaverClosed:
    def __init__(self, folder):
        self.saver = DiskCacheSaver(folder)

    def __enter__(self):
        return self.saver

    def __exit__(self, *_):
        self.saver.close()


def test_it_is_read_again_when_it_changes_and_not_before(tmp_path, monkeypatch):
    from hitl_nb.plain import text

    reads = []
    look = text.file_text
    monkeypatch.setattr(text, "file_text", lambda *a: reads.append(a) or look(*a))
    file = ReviewersFile.of(None, tmp_path)
    assert file.now() is None
    (tmp_path / "reviewers.yaml").write_text(TEXT)
    assert [named(file.now().people) for _ in range(3)] == [["dana", "lee", "kim"]] * 3
    assert len(reads) == 1
    (tmp_path / "new").write_text(TEXT.replace("kim", "zoe"))
    (tmp_path / "new").replace(tmp_path / "reviewers.yaml")  # as editors write: of the same size, perhaps in the same moment
    assert (named(file.now().people), len(reads)) == (["dana", "lee", "zoe"], 2)
    (tmp_path / "reviewers.yaml").unlink()
    assert file.now() is None


def test_a_file_that_an_editor_is_about_to_write_anew_is_waited_for(tmp_path, monkeypatch):
    file, path = ReviewersFile.of(None, tmp_path), tmp_path / "reviewers.yaml"
    waits = []
    monkeypatch.setattr(
        "hitl_nb.checkpoint.reviewers.time.sleep", lambda seconds: waits.append(seconds) or path.write_text(TEXT.replace("kim", "zoe"))
    )
    assert (file.now(), waits) == (None, [])
    path.write_text(TEXT)
    assert named(file.now().people) == ["dana", "lee", "kim"]
    path.rename(tmp_path / "reviewers.yaml~")
    assert named(file.now().people) == ["dana", "lee", "zoe"]
    assert len(waits) == 1


def test_two_that_say_who_may_answer_are_refused(tmp_path):
    saver = DiskCacheSaver(tmp_path, reviewers={"reviewers": {"dana": []}})
    assert named(saver.rules().reviewers.people) == ["dana"]
    (tmp_path / "reviewers.yaml").write_text(TEXT)
    with pytest.raises(ReviewersFileError, match=r"reviewers.yaml and reviewers= both say who may answer; keep one"):
        saver.rules()
    (tmp_path / "reviewers.json").write_text("{}")
    with pytest.raises(ReviewersFileError, match=r"reviewers.yaml and .*reviewers.json both say"):
        DiskCacheSaver(tmp_path).rules()


def test_a_saver_takes_its_reviewers_into_another_process(tmp_path):
    (tmp_path / "who.yaml").write_text(TEXT)
    for given in ({"reviewers": {"dana": []}}, tmp_path / "who.yaml"):
        assert "dana" in named(pickle.loads(pickle.dumps(DiskCacheSaver(tmp_path / "store", reviewers=given))).rules().reviewers.people)


def test_a_path_that_leads_nowhere_is_told_at_once(tmp_path):
    with pytest.raises(ReviewersFileError, match=r"no.yaml says who may answer, and cannot be read: .*No such file"):
        MemorySaver(reviewers=tmp_path / "no.yaml")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"reviewers: {dana: [legal", "was it cut short"),
        ("reviewers: {dana: []}".encode("utf-16"), "is UTF-16. Expected UTF-8"),
        (b"reviewers: {jos\xe9: []}", "byte 0xe9, which is not UTF-8"),
        (b"reviewers:\n  dana: []\n  dana: [legal]\n", "line 3: the key 'dana' is there twice"),
        (b"reviewers: !!python/object/apply:os.system [x]", "expected plain data without tags"),
        (
            b"a: &a [1,1,1,1,1,1,1,1,1,1]\n" + b"".join(b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 10)) for c in range(98, 106)),
            "values",
        ),
        (b"", "expected `reviewers:`"),
    ],
)
def test_a_file_that_cannot_be_read_lets_nobody_answer(tmp_path, content, what):
    file = ReviewersFile.of(None, tmp_path)
    (tmp_path / "reviewers.yaml").write_bytes(content)
    with pytest.raises(ReviewersFileError, match=what) as refused:
        file.now()
    assert "reviewers.yaml" in str(refused.value)


def test_a_link_that_leads_nowhere_and_a_folder_are_no_missing_file(tmp_path):
    (tmp_path / "reviewers.yaml").symlink_to(tmp_path / "gone.yaml")
    with pytest.raises(ReviewersFileError, match="cannot be read"):
        ReviewersFile.of(None, tmp_path).now()
    (tmp_path / "reviewers.yaml").unlink()
    (tmp_path / "reviewers.yaml").mkdir()
    with pytest.raises(ReviewersFileError, match="cannot be read"):
        ReviewersFile.of(None, tmp_path).now()
