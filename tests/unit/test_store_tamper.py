"""A store that somebody tampered with who knows how: refused in words, soon and in little memory, and nothing outside of it is read or written."""

import os
import threading
import tracemalloc

import pytest
from click.testing import CliRunner

from hitl_nb import Command, DiskCacheSaver
from hitl_nb.checkpoint.serde import Serde, pack, unpack
from hitl_nb.checkpoint.upkeep.backup import backup
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.checkpoint.upkeep.vacuuming import vacuum
from hitl_nb.cli import main
from hitl_nb.errors import CorruptStoreError, HitlError, StoreError
from tests.crash.whole_store import THREADS, config, graph_of, read, read_thread
from tests.unit.test_store_check import keys, put, sql

NONSENSE = [None, 5, "x", [], {}, [None] * 20, ["x"] * 9, [[], {}, None], {"a": 1}, [2**63, -1, 0.5], [b"", b"", b""], True]


KINDS = ["h/waits", "h/done", "c/", "p/", "q/", "a/", "i/", "!o/", "d/", "d!head", "k/", "v/"]


@pytest.mark.parametrize("n", range(len(KINDS)))
def test_a_record_of_a_right_seal_that_is_none_of_its_kind_is_an_error_that_names_it(folder, n):
    put_nonsense(folder, KINDS[n], NONSENSE[n : n + 1])


@pytest.mark.soak
@pytest.mark.parametrize("beginning", KINDS)
def test_any_record_of_a_right_seal_that_is_none_of_its_kind_is_an_error_that_names_it(folder, beginning):
    put_nonsense(folder, beginning, NONSENSE)


def put_nonsense(folder, beginning, nonsenses):
    key = keys(folder, beginning)[0]
    for nonsense in nonsenses:
        put(folder, key, pack(nonsense))
        try:
            read(folder)
        except HitlError as error:
            told = str(error)
        else:
            told = f"{folder}"  # what was put there may be a value, or what nobody asks for
        assert str(folder) in told or "decision log" in told, told
        check(folder)
        for arguments in (["pending"], ["audit"], ["audit", "--verify"], ["history", "waits"], ["store", "check"]):
            done = CliRunner().invoke(main, [*arguments, "--store", str(folder)])
            assert done.exit_code in (0, 1)
            assert done.exception is None or isinstance(done.exception, SystemExit), (key, nonsense, arguments, done.exception)


@pytest.mark.parametrize("version", [None, "9", [], [None], ["9"], [1.5], [True], [0], [-1], {"a": 1}, [1, 2]])
def test_a_format_that_is_none_is_refused(folder, version):
    put(folder, "!format", pack(version))
    with pytest.raises(CorruptStoreError, match="'!format'"):
        DiskCacheSaver(folder).head("done")
    assert not check(folder).ok
    done = CliRunner().invoke(main, ["pending", "--store", str(folder)])
    assert (done.exit_code, "'!format'" in done.output) == (1, True)


@pytest.mark.parametrize(
    "what",
    [
        "CREATE TRIGGER harm AFTER INSERT ON Cache BEGIN DELETE FROM Cache WHERE key LIKE 'a/%'; END",
        "CREATE VIEW harm AS SELECT * FROM Cache",
    ],
)
def test_what_sqlite_would_do_by_itself_is_refused(folder, what):
    sql(folder, what)
    with pytest.raises(CorruptStoreError, match="'harm'"):
        DiskCacheSaver(folder).head("done")
    assert [d for d in check(folder).damages if "'harm'" in d.what]


def test_a_key_that_is_no_text_is_damage_of_the_database(folder):
    sql(folder, "UPDATE Cache SET key = CAST(X'682FFF77' AS TEXT) WHERE key = 'h/waits'")
    with pytest.raises(CorruptStoreError, match=r"its database cache\.db is damaged"):
        DiskCacheSaver(folder).head("waits")
    assert not check(folder).ok


def value_file(folder, thread_id):
    ((name,),) = sql(folder, "SELECT filename FROM Cache WHERE key LIKE ?", f"v/%/{thread_id}")
    return folder / name


@pytest.mark.parametrize("kind", ["pipe", "link", "link to a device", "folder", "huge"])
def test_a_value_file_that_is_no_ordinary_one_is_refused_at_once(folder, tmp_path, kind):
    path, secret = value_file(folder, "waits"), tmp_path / "secret"
    secret.write_bytes(path.read_bytes())
    path.unlink()
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "link":
            path.symlink_to(secret)
        case "link to a device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "huge":
            path.touch()
            os.truncate(path, 1 << 42)  # ext4 has no larger ones than four times that
    ended = []

    def use():
        with pytest.raises(CorruptStoreError) as told:
            read_thread(DiskCacheSaver(folder), "waits")
        ended.append(str(told.value))

    reader = threading.Thread(target=use, daemon=True)
    reader.start()
    reader.join(60)
    assert path.name in ended[0]
    assert check(folder).damaged_files == [path.relative_to(folder).as_posix()]
    read_thread(DiskCacheSaver(folder), "done")


@pytest.mark.parametrize("which", ["open.lock", "writing", "thread"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_lock_file_that_leads_elsewhere_is_not_followed(folder, tmp_path, which, kind):
    thesis = tmp_path / "thesis.tex"
    thesis.write_text("years of work")
    places = sorted((folder / "locks").glob("*.lock")) if which == "thread" else [folder / "locks" / which]
    for place in places:
        place.unlink(missing_ok=True)
        place.symlink_to(thesis) if kind == "link" else os.mkfifo(place)
    ended = []

    def use():
        try:
            graph_of(DiskCacheSaver(folder, timeout_s=1)).invoke(Command(resume="later"), config("waits"))
            graph_of(DiskCacheSaver(folder, timeout_s=1)).invoke({"x": 1, "big": b"x" * 200_000}, config("new"))
        except StoreError as error:
            ended.append(str(folder) in str(error))
        else:
            ended.append(True)

    user = threading.Thread(target=use, daemon=True)
    user.start()
    user.join(60)
    assert ended == [True]
    assert thesis.read_text() == "years of work"


@pytest.mark.parametrize("name", ["cache.db-wal", "cache.db-shm", "cache.db-journal"])
def test_a_link_in_the_place_of_a_log_is_not_written_through(folder, tmp_path, name):
    thesis = tmp_path / "thesis.tex"
    thesis.write_text("years of work")
    (folder / name).symlink_to(thesis)
    uses = [lambda: DiskCacheSaver(folder).head("done"), lambda: vacuum(folder)]
    if name != "cache.db-journal":  # which a reader does not open where nobody writes
        uses.append(lambda: backup(folder, tmp_path / "copy"))
    for use in uses:
        with pytest.raises(CorruptStoreError, match=f"{name} of the store .* is no ordinary file"):
            use()
    assert thesis.read_text() == "years of work"


@pytest.mark.parametrize(
    "data",
    [
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xffx",
        b"\xc9\xff\xff\xff\xff\x01",
        b"\x91" * 100_000,
        b"\xdd\x00\xff\xff\xff" + b"\xdd\x00\xff\xff\xff" * 50,
        b"\xc1\xff\xff\xff\xff\xdd\xff\xff\xff\xff",
        b"\xc1\x00\x00\x00\x05\xdd\x7f\xff\xff\xff",
    ],
)
def test_a_length_that_is_a_lie_takes_no_memory(data):
    tracemalloc.start()
    try:
        for load in (unpack, Serde().loads):
            with pytest.raises(CorruptStoreError):
                load(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_value_that_is_said_to_be_larger_than_it_is_is_refused(folder):
    key = keys(folder, "c/0000000000/done")[0]
    ((sealed,),) = sql(folder, "SELECT value FROM Cache WHERE key = ?", key)
    wire = unpack(sealed[16:])
    wire[6]["big"][2] = 1 << 60
    put(folder, key, pack(wire))
    with pytest.raises(CorruptStoreError, match=r"has \d+ of 1152921504606846976 bytes"):
        read_thread(DiskCacheSaver(folder), "done")
    for thread_id in set(THREADS) - {"done"}:
        read_thread(DiskCacheSaver(folder), thread_id)
