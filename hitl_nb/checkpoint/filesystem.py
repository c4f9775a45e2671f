"""The file system below a store: which one it is, whether it does what SQLite and the locks of threads need, and which journal fits it.

SQLite's write-ahead log keeps an index in memory that all its users share, and two machines share none: on a network file system each would
overlook what the other wrote. The rollback journal ("delete") needs no shared memory, only locks that every machine sees. Which journal a store
has stands in its database and holds for all who open it, so it is chosen once, when the store is made, and afterwards never by opening.
"""

from __future__ import annotations

import errno
import mmap
import os
import re
import struct
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from hitl_nb.errors import NetworkFileSystemWarning, StoreError

if sys.platform != "win32":
    import fcntl

Journal = Literal["wal", "delete"]
"""wal: quick, for the processes of one machine. delete: the rollback journal, where every file system that has locks will do."""

VARIABLE: Final = "HITL_NB_JOURNAL"
"""Of the environment: the journal that new stores get where nothing else is said."""
_SHARED: Final = r"9p|virtiofs|vboxsf|prl_fs|vmhgfs|fuse\.vmhgfs-fuse|drvfs|fakeowner|fuse\.(osxfs|grpcfuse)"
"""Folders of a host that a virtual machine or a container sees."""
_OBJECTS: Final = r"fuse\.(sshfs|s3fs|goofys|gcsfuse|rclone|davfs2|blobfuse2?)|davfs2?"
"""Those that tell no other machine of a lock."""
_NETWORK: Final = re.compile(
    rf"(nfs|nfs4|cifs|smb\w*|ncpfs|afs|coda|ceph|lustre|beegfs|fhgfs|gpfs|glusterfs|orangefs|pvfs2|panfs|wekafs|gfs2?|ocfs2|acfs|{_SHARED}|{_OBJECTS}"
    r"|fuse\.(glusterfs|ceph|juicefs|moosefs|mfs|lizardfs|curvefs))\Z"
)
"""File systems on which processes of two machines, or of a machine and its guest, can have the same folder open."""
_NO_LOCKS: Final = re.compile(rf"({_OBJECTS})\Z")
_LOCAL_LOCKS: Final = frozenset({"nolock", "local_lock=all", "local_lock=flock", "local_lock=posix", "nobrl", "localflock"})
"""Options of a mount (NFS, SMB, Lustre) that keep locks on this machine."""
_MOUNTS: Final = Path("/proc/self/mounts")
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")
_PAGE: Final = mmap.PAGESIZE


@dataclass(frozen=True, slots=True)
class Mount:
    """What a folder lies on."""

    kind: str = ""
    """Type of the file system, as Linux names it; `smb` for a share of Windows; empty where the system does not say."""
    options: frozenset[str] = frozenset()

    @property
    def is_network(self) -> bool:
        return is_network(self.kind)

    @property
    def unshared_locks(self) -> str:
        """Why other machines do not see the locks that this one takes; empty: nothing says that they do not."""
        if _NO_LOCKS.match(self.kind):
            return f"{self.kind} tells no other machine of a lock"
        found = sorted(self.options & _LOCAL_LOCKS) if self.is_network else []
        return f"it is mounted with {found[0]}, which keeps locks on this machine" if found else ""


def is_network(kind: str) -> bool:
    """True for the type of a file system that lies on another machine, or behaves so."""
    return _NETWORK.match(kind) is not None


def mount_of(folder: Path, mounts: Path | None = None) -> Mount:
    """What the folder lies on. Found on Linux, and for shares of Windows; elsewhere nothing is claimed."""
    best, found = -1, Mount()
    with suppress(OSError, UnicodeDecodeError):
        place = str(folder.resolve())
        if place.startswith("\\\\"):  # also of a drive letter that stands for a share
            return Mount("smb")
        for line in (mounts or _MOUNTS).read_text(encoding="utf-8").splitlines():
            _, at, kind, options, *_ = f"{line}    ".split(" ")
            if "\\" in at:
                at = _ESCAPED.sub(lambda m: chr(int(m[1], 8)), at)
            around = at.rstrip("/")
            if (place == around or place.startswith(f"{around}/")) and len(at) >= best:  # of two mounts on one place, the later one counts
                best, found = len(at), Mount(kind, frozenset(options.split(",")))
    return found


def file_system(folder: Path, mounts: Path | None = None) -> str:
    """The type of the file system that a folder lies on, as Linux names it; empty elsewhere."""
    return mount_of(folder, mounts).kind


def checked_wish(journal: object, name: str = "journal") -> Journal | None:
    if journal is None or journal in get_args(Journal):
        return journal  # type: ignore[return-value]
    raise ValueError(f"{name} is {journal!r}; expected 'wal', 'delete', or nothing for the one that the store has or its file system needs")


def concern(folder: Path, mount: Mount, journal: str) -> str:
    """What may be lost in a store there, and what to do about it; empty: nothing is known against it."""
    if not mount.is_network:
        return ""
    local = mount.unshared_locks
    if local:
        return (
            f"{folder} lies on a {mount.kind} file system, and {local}: used by one machine at a time the store may work; used by two, commits can "
            f"be lost, whatever its journal. Move the folder to a local disk and back it up from there (hitl-nb store backup), or mount it with locks"
        )
    if journal == "wal":
        return (
            f"{folder} lies on a {mount.kind} file system, and SQLite's write-ahead log needs a local disk: used by one machine at a time the store "
            f"may work; used by two, commits can be lost. While nobody has it open: hitl-nb store journal delete --store {folder}. Or move the "
            f"folder to a local disk. DiskCacheSaver(…, journal='wal') or {VARIABLE}=wal says that one machine alone uses it, and ends this warning"
        )
    return ""


def journal_for(folder: Path, stored: Journal | None, wish: Journal | None) -> Journal:
    """The journal of the store that is being opened: the one it has (`stored`); for a new one the wish, that of HITL_NB_JOURNAL, or else what its
    file system allows.

    The caller holds the lock of locks/open.lock. Raises StoreError when the wish is another than what the store has, and when the file system is
    seen not to do what it must. Warns (NetworkFileSystemWarning) when it may lose commits.
    """
    if stored is not None and wish not in (None, stored):
        raise StoreError(
            f"the store {folder} has the journal {stored!r}, and was to be opened with journal={wish!r}; all who open it share the one it has. Leave "
            f"journal= out, or while nobody has it open: hitl-nb store journal {wish} --store {folder}"
        )
    mount = mount_of(folder)
    wish = wish or checked_wish(os.environ.get(VARIABLE) or None, VARIABLE)
    journal: Journal = stored or wish or ("delete" if mount.is_network else "wal")
    if mount.is_network:
        require_locks(folder, mount)
        if journal == "wal":
            require_shared_memory(folder, mount)
        text = concern(folder, mount, journal)
        if text and (mount.unshared_locks or wish is None):
            warnings.warn(text, NetworkFileSystemWarning, stacklevel=2)
    return journal


# -- trying it out ---------------------------------------------------------------------------------------------------------------------------


def require_locks(folder: Path, mount: Mount) -> None:
    """Raise StoreError unless both kinds of locks, those of threads and SQLite's own, keep a second holder out in this folder."""
    if sys.platform == "win32":
        return
    first = _Probe(folder)
    second = os.open(first.path, os.O_RDWR)
    try:
        for kind, lock in (("flock", _flock), ("fcntl", _byte_lock)):
            try:
                lock(first.handle, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno == errno.EINVAL:  # this kernel has no lock that can be tried within one process
                    continue
                raise StoreError(_useless(folder, mount, f"it has no locks ({kind}: {error.strerror or error})")) from error
            if _holds(lock, second):
                raise StoreError(_useless(folder, mount, f"two may hold the same lock at once ({kind})"))
            lock(first.handle, fcntl.LOCK_UN)
    finally:
        os.close(second)
        first.remove()


def require_shared_memory(folder: Path, mount: Mount) -> None:
    """Raise StoreError unless what one user of a file writes into its memory is what another one sees there."""
    first = _Probe(folder)
    second = os.open(first.path, os.O_RDWR)
    try:
        os.write(second, bytes(_PAGE))
        with mmap.mmap(first.handle, _PAGE) as one, mmap.mmap(second, _PAGE) as other:
            one[:4] = b"hitl"
            shared = other[:4] == b"hitl"
    except (OSError, ValueError):
        shared = False
    finally:
        os.close(second)
        first.remove()
    if not shared:
        raise StoreError(
            _useless(folder, mount, "it has no memory that users of a file share, which the write-ahead log needs")
            + f". Or, while nobody has it open: hitl-nb store journal delete --store {folder}; for a new store DiskCacheSaver(…, journal='delete')"
        )


class _Probe:
    """A file beside the locks of threads, to try things with: locks on a file that SQLite uses would be lost with the first one closed."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "locks" / f".probe-{os.getpid()}"
        self.handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)

    def remove(self) -> None:
        os.close(self.handle)
        with suppress(OSError):
            self.path.unlink()


def _flock(handle: int, way: int) -> None:
    fcntl.flock(handle, way | fcntl.LOCK_NB)


def _byte_lock(handle: int, way: int) -> None:
    """The kind of lock that SQLite uses, but held by the opened file instead of by the process, so that two can be tried in one."""
    kind = fcntl.F_UNLCK if way == fcntl.LOCK_UN else fcntl.F_WRLCK
    fcntl.fcntl(handle, fcntl.F_OFD_SETLK, struct.pack("hhqqi", kind, os.SEEK_SET, 0, 1, 0))


def _holds(lock: Callable[[int, int], None], handle: int) -> bool:
    try:
        lock(handle, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def _useless(folder: Path, mount: Mount, why: str) -> str:
    return (
        f"the store {folder} lies on a {mount.kind} file system, and {why}; commits would be lost, so it was not opened. Keep the folder on a local "
        f"disk, and back it up from there (hitl-nb store backup)"
    )
