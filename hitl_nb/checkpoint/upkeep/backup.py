"""A copy of a store that is consistent in itself, made while others write."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from hitl_nb.checkpoint.folder import FolderReader, require_store
from hitl_nb.checkpoint.holding import share
from hitl_nb.checkpoint.progress import bar
from hitl_nb.checkpoint.reviewers import FILE_NAMES
from hitl_nb.checkpoint.sealing import COPYING, DATABASE, LOCKS, value_path
from hitl_nb.checkpoint.trouble import store_error
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.checkpoint.upkeep.health import Health, files
from hitl_nb.errors import CorruptStoreError, StoreError
from hitl_nb.plain.tracebacks import letting_go

_ROUNDS: Final = 5
"""How often the copy is begun again because a thread was deleted while its value files were copied."""
_PAGES: Final = 4096


@letting_go
def backup(folder: str | os.PathLike[str], target: str | os.PathLike[str], *, timeout_s: float = 60.0) -> Health:
    """Copy the store to `target`, a folder that is not there yet; what a check of the copy found, which is whole.

    The copy is that of one moment, however many write meanwhile. It gets its name when it is complete, on the disk and checked. Raises StoreError
    when the folder is there, CorruptStoreError when the store is damaged; nothing is left of the copy then.
    """
    reader, goal = FolderReader(folder, timeout_s=timeout_s), Path(target).expanduser().absolute()
    require_store(reader)
    if goal.exists() or goal.is_symlink():
        raise StoreError(f"{goal} is there already, and nothing is copied over it; name a folder that is not there yet")
    partial = goal.with_name(f"{goal.name}.partial-{secrets.token_hex(4)}")
    try:
        (partial / LOCKS).mkdir(parents=True)
        with _keeping_files(reader.folder):
            _copy(reader, partial)
        health = check(partial, timeout_s=timeout_s)
        if not health.ok:
            raise CorruptStoreError(
                f"{reader.called} is damaged, so no backup was made of it ({health.damages[0].what}); hitl-nb store check says what is damaged, "
                f"hitl-nb store repair takes over what is whole"
            )
        _sync(partial)
        partial.rename(goal)
        _sync_folder(goal.parent)
    except sqlite3.Error as error:
        raise store_error(f"back up to {goal}", reader.folder, error, timeout_s=timeout_s) from error
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise store_error(f"back up to {goal}", reader.folder, error, timeout_s=timeout_s) from error
    finally:
        reader.close()
        shutil.rmtree(partial, ignore_errors=True)
    health.folder = str(goal)
    return health


@contextmanager
def _keeping_files(folder: Path) -> Iterator[None]:
    """Meanwhile nobody removes the value files of a thread that is deleted, or all of them would have to be copied between two deletions."""
    held = None
    with suppress(OSError):  # a folder that cannot be written to
        held = share(folder / LOCKS / COPYING)
    try:
        yield
    finally:
        if held is not None:
            held.release()


def _copy(reader: FolderReader, partial: Path) -> None:
    for _ in range(_ROUNDS):
        source = reader.connection()
        _copy_database(source, partial / DATABASE)
        if reader.connection() is source and _copy_values(reader.folder, partial):
            break
        # A thread was deleted meanwhile, or somebody began to write to a store that nobody had open.
    else:
        raise StoreError(
            f"value files of {reader.called} are missing, or threads are deleted all the time; look with hitl-nb store check, then again"
        )
    for name in FILE_NAMES:
        if (reader.folder / name).is_file():
            shutil.copy2(reader.folder / name, partial / name)


def _copy_database(source: sqlite3.Connection, goal: Path) -> None:
    goal.unlink(missing_ok=True)
    with closing(sqlite3.connect(goal, isolation_level=None)) as copy:
        source.execute("BEGIN")  # held over all steps, so that a commit in between does not make SQLite begin again
        try:
            source.execute("SELECT 1 FROM Cache LIMIT 1").fetchone()
            source.backup(copy, pages=_PAGES)
        finally:
            source.execute("ROLLBACK")


def _copy_values(folder: Path, partial: Path) -> bool:
    """Copy the value files that the copied database names; False when one is not there any more."""
    with closing(sqlite3.connect(partial / DATABASE)) as connection:
        count = connection.execute("SELECT count(filename) FROM Cache").fetchone()[0]
        found = (name for (name,) in connection.execute("SELECT filename FROM Cache WHERE filename IS NOT NULL"))
        names = set[Path]()
        for name in bar(found, "copying", total=count):
            source, copy = value_path(folder, name), value_path(partial, name)
            names.add(copy)
            if copy.exists():  # of an earlier round; a value file is written once
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(source, copy)
            except FileNotFoundError:
                return False
    for path in _values(partial):
        if path not in names:
            path.unlink()
    return True


def _values(partial: Path) -> Iterator[Path]:
    yield from partial.glob("??/??/*.val")


def _sync(folder: Path) -> None:
    """Everything in the folder is on the disk when this returns."""
    for path, _ in files(folder):
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    for place, _, _ in os.walk(folder):
        _sync_folder(Path(place))


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # Windows opens no folder, and journals its names
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
