"""What lies in a store's folder, at a glance, and whether the disk below it is one that keeps what it is told."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass

from hitl_nb.checkpoint.audit import log_head
from hitl_nb.checkpoint.filesystem import concern, mount_of
from hitl_nb.checkpoint.folder import FolderReader, is_writable, journal_of, require_store
from hitl_nb.checkpoint.keys import OPEN_PREFIX, head_key, is_nested
from hitl_nb.checkpoint.records import Head
from hitl_nb.checkpoint.reviewers import FILE_NAMES
from hitl_nb.checkpoint.sealing import DATABASE, FORMAT_KEY, LOCKS, VALUE_FILE
from hitl_nb.checkpoint.serde import unpack
from hitl_nb.checkpoint.trouble import store_error
from hitl_nb.checkpoint.upkeep.health import files


@dataclass(frozen=True, slots=True)
class Description:
    """A store's folder in figures."""

    folder: str
    format: int
    records: int
    threads: int
    """Without deleted ones, and without those of graphs inside threads."""
    open_questions: int
    log_entries: int
    """Of the decision log: answers, defaults, withdrawals."""
    log_head: str
    """Hash of the newest entry."""
    database_bytes: int
    write_ahead_bytes: int
    """Of cache.db-wal: commits that SQLite has not moved into the database yet."""
    value_files: int
    value_bytes: int
    lock_files: int
    journal_mode: str
    reviewers_file: str
    """Empty: there is none."""
    file_system: str
    """Its type; empty where the system does not say."""
    writable: bool
    warnings: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """On the disk, without lock files."""
        return self.database_bytes + self.write_ahead_bytes + self.value_bytes


def describe(folder: str | os.PathLike[str], *, timeout_s: float = 60.0) -> Description:
    """Look at a store without changing anything. Raises StoreError where there is none, CorruptStoreError where it cannot be counted."""
    reader = FolderReader(folder, timeout_s=timeout_s)
    require_store(reader)
    place = reader.folder
    sizes = {path.relative_to(place).as_posix(): size for path, size in files(place)}
    values = [size for name, size in sizes.items() if VALUE_FILE.match(name)]
    mount, journal = mount_of(place), journal_of(place / DATABASE)
    worry = concern(place, mount, journal)
    try:
        execute = reader.connection().execute
        (records,) = execute("SELECT count(*) FROM Cache").fetchone()
        return Description(
            folder=str(place),
            format=unpack(reader._must(FORMAT_KEY, ""))[0],
            records=records,
            threads=sum(1 for key, raw in reader._scan(head_key("")) if not is_nested(key) and Head.from_wire(unpack(raw)).seq >= 0),
            open_questions=sum(1 for _ in reader._scan(OPEN_PREFIX)),
            log_entries=log_head(reader)[0],
            log_head=log_head(reader)[1].hex(),
            database_bytes=sizes.get(DATABASE, 0),
            write_ahead_bytes=sizes.get(f"{DATABASE}-wal", 0),
            value_files=len(values),
            value_bytes=sum(values),
            lock_files=sum(1 for name in sizes if name.startswith(f"{LOCKS}/") and name.endswith(".lock")),
            journal_mode=journal,
            reviewers_file=next((name for name in FILE_NAMES if name in sizes), ""),
            file_system=mount.kind,
            writable=is_writable(place) and is_writable(place / DATABASE),
            warnings=(worry,) if worry else (),
        )
    except sqlite3.Error as error:
        raise store_error("read", place, error, timeout_s=timeout_s) from error
    finally:
        reader.close()
