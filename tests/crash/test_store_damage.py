"""Bits that flip and files that are cut short: a store answers right or says that it is damaged. The look finds it, and a repair invents nothing."""

import os
import random
import re
import shutil

import pytest

from hitl_nb import DiskCacheSaver
from hitl_nb.checkpoint.sealing import PAGE
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.checkpoint.upkeep.repairing import repair
from hitl_nb.errors import CorruptStoreError, StoreError
from tests.crash.whole_store import THREADS, config, damage_index, graph_of, make, read, read_thread


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "store"
    make(folder)
    return folder, read(folder)


def damage(folder, chance, what):
    """Damage one file of the store at random; its name and where."""
    if what == "lock":  # which hold no data
        path = chance.choice(sorted(p for p in (folder / "locks").iterdir()))
        path.write_bytes(chance.randbytes(chance.choice((0, 1, 40, 5000))))
        return path.name
    files = sorted(folder.rglob("*.val")) if what.startswith("value") else [folder / "cache.db"]
    path = chance.choice(files)
    offset = chance.randrange(path.stat().st_size)
    if what.endswith("cut"):
        os.truncate(path, offset)
        return f"{path.name} cut at {offset}"
    with path.open("r+b") as file:
        if what == "page":
            file.seek(offset // PAGE * PAGE)
            file.write(chance.randbytes(PAGE))
        else:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1 << chance.randrange(8)]))
    return f"{path.name} at {offset}"


def read_or_error(folder):
    try:
        return read(folder), ""
    except StoreError as error:
        return None, str(error)


def look(whole, folder, chance, what):
    folder = shutil.copytree(whole[0], folder)
    where = damage(folder, chance, what)
    found, error = read_or_error(folder)
    if found is not None:
        assert found == whole[1], f"{where}: a wrong value"
    else:
        assert str(folder) in error, where
        assert re.search(r"cache\.db|\.val|record '|entry \d", error), f"{where}: {error}"
        assert "hitl-nb" in error, f"{where}: {error}"  # the command that says what can still be read
        assert not check(folder).ok, f"{where}: the look did not find {error}"
    mend(whole, folder, where, right=found is not None)
    shutil.rmtree(folder.parent)


def mend(whole, folder, where, *, right):
    """What is saved is what it was, or the repair says otherwise."""
    target = folder.with_name("saved")
    try:
        done = repair(folder, target, make=DiskCacheSaver)
    except CorruptStoreError:
        assert not right, where
        return
    saver = DiskCacheSaver(target)
    told = " ".join([*done.lost, *done.done])
    for thread_id in THREADS:
        try:
            got = read_thread(saver, thread_id)
        except StoreError:
            continue
        if got != whole[1][thread_id]:
            assert done.blind or thread_id in done.health.damaged_threads or thread_id in told, (where, thread_id)
    saver.close()


@pytest.mark.parametrize(("what", "seeds"), [("bit", 14), ("cut", 5), ("page", 5), ("value", 2), ("value cut", 2), ("lock", 2)])
def test_a_damaged_store_answers_right_or_says_so(whole, tmp_path, what, seeds):
    for seed in range(seeds):
        look(whole, tmp_path / str(seed) / "store", random.Random(f"{what}{seed}"), what)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("what", ["bit", "cut", "page", "value", "value cut", "lock"])
def test_a_damaged_store_answers_right_or_says_so_at_many_places(whole, tmp_path, what):
    for seed in range(500):
        look(whole, tmp_path / str(seed) / "store", random.Random(f"many {what}{seed}"), what)


def test_a_database_of_no_bytes_is_not_taken_for_a_new_store(whole, tmp_path):
    folder = shutil.copytree(whole[0], tmp_path / "store")
    (folder / "cache.db").write_bytes(b"")
    with pytest.raises(CorruptStoreError, match=r"its database cache\.db is empty"):
        DiskCacheSaver(folder).head("done")
    assert (folder / "cache.db").stat().st_size == 0


@pytest.mark.parametrize("which", ["h/waits", "h/done", "c/0000000001/waits", "d/000000000003"])
def test_a_record_that_the_index_does_not_find_is_damaged_and_not_missing(whole, tmp_path, which):
    folder = shutil.copytree(whole[0], tmp_path / "store")
    damage_index(folder, which)
    with pytest.raises(CorruptStoreError, match=str(folder)):
        DiskCacheSaver(folder)._read(which)
    if which == "h/waits":  # it would begin again, and ask what was answered
        with pytest.raises(CorruptStoreError):
            graph_of(DiskCacheSaver(folder)).invoke({"x": 1}, config("waits"))
    assert not check(folder).ok
    assert repair(folder, tmp_path / "saved", make=DiskCacheSaver).health.ok
    assert read(tmp_path / "saved") == whole[1]


def test_an_open_question_that_the_index_does_not_find_is_not_left_out_of_the_list(whole, tmp_path):
    for brief, _ in whole[1]["open"]:
        folder = shutil.copytree(whole[0], tmp_path / brief.interrupt_id)
        damage_index(folder, f"!o/{brief.interrupt_id}")
        with pytest.raises(CorruptStoreError, match="altered"):
            DiskCacheSaver(folder).open_questions()


def test_a_value_file_that_was_changed_is_named_by_the_look_and_by_the_repair(whole, tmp_path):
    folder = shutil.copytree(whole[0], tmp_path / "store")
    changed = max(folder.rglob("*.val"))
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    told = [check(folder).damages[0].what, repair(folder, tmp_path / "saved", make=DiskCacheSaver).lost[0]]
    assert all(changed.relative_to(folder).as_posix() in line and "cache.db" not in line for line in told), told


def test_where_records_cannot_be_read_no_value_file_is_said_to_belong_to_none(whole, tmp_path):
    folder = shutil.copytree(whole[0], tmp_path / "store")
    with (folder / "cache.db").open("r+b") as file:
        file.write(bytes(PAGE))
    health = check(folder)
    assert (health.ok, health.value_files > 0, health.notes) == (False, True, [])
