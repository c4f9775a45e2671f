"""Who holds a thread for running: a lock on a small file, which the system lets go of when its process ends, however that ends.

`filelock` does the same with more care than one machine's file systems need, for twenty times the time; it is used where there is no flock.
"""

from __future__ import annotations

import errno
import os
import re
import socket
from contextlib import suppress
from io import FileIO
from pathlib import Path
from threading import RLock
from time import monotonic, sleep
from typing import Final, Protocol
from weakref import WeakSet

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_HAS_FLOCK: Final = fcntl is not None
_HOLDER: Final = re.compile(r"process (\d{1,10}) on ([\w.-]{1,80}) *\Z")
_SIZE: Final = 120
_HELD_ELSEWHERE: Final = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK)
_LOOK_EVERY_S: Final = 0.01
_TRIES: Final = 500
_LOOKS_FOR_S: Final = 0.001
"""Longer than whoever looks whether a file is shared has it to himself."""
_NO_FLOCK: Final = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


class Hold(Protocol):
    """A lock that is held."""

    def release(self) -> None: ...


def hold(path: Path) -> Hold | None:
    """Take the lock; None when somebody holds it, be it in this process. Raises OSError."""
    if _HAS_FLOCK:
        try:
            return _flock(str(path))
        except OSError as error:
            if error.errno not in _NO_FLOCK:
                raise
    return _filelock(path)


def remove(held: Hold, path: Path) -> bool:
    """Remove the file of a lock that is held, and whether that was done. Never another one that lies there now: somebody may hold that. And only
    where there is flock: whoever waits for the old file there sees that it is gone. Raises OSError.
    """
    if not isinstance(held, _Flock) or not held.is_at(path):
        return False
    path.unlink()
    return True


def hold_within(path: Path, timeout_s: float) -> Hold:
    """Take the lock as soon as it is free. Raises TimeoutError when it is not within `timeout_s`, OSError."""
    ends_at = monotonic() + timeout_s
    while (held := hold(path)) is None:
        if monotonic() >= ends_at:
            raise TimeoutError(f"its lock {path.name} is held by {holder(path)}")
        sleep(_LOOK_EVERY_S)
    return held


# -- with flock --------------------------------------------------------------------------------------------------------------------------


class _Flock:
    """An open file with a lock on it. Closing it lets go, and so does forgetting it: a Ctrl-C anywhere cannot leave a thread locked."""

    __slots__ = ("__weakref__", "_file")

    def __init__(self, file: FileIO) -> None:
        self._file = file

    def release(self) -> None:
        if not self._file.closed:  # as it is in a process that was forked off
            fcntl.flock(self._file, fcntl.LOCK_UN)  # closing lets go only when nobody has a copy, as a process that is being started has for a moment
            self._file.close()

    def is_at(self, path: Path) -> bool:
        """Whether it is this lock's file that lies there now."""
        return not self._file.closed and _is_at(self._file, str(path))


_OPENING: Final = RLock()
"""Held while a lock file is opened and noted, and while this process forks, so that the child knows every one that it got a copy of."""
_OPEN: Final[WeakSet[FileIO]] = WeakSet()


def _flock(path: str) -> Hold | None:
    for _ in range(_TRIES):
        file = _opened(path, "r+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(file, path):  # else it was removed before it was locked, and locks nobody out
                with suppress(OSError):  # only for the message to others
                    os.pwrite(file.fileno(), _signature(), 0)
                return _Flock(file)
        except BaseException as error:
            file.close()
            if isinstance(error, OSError) and error.errno in _HELD_ELSEWHERE:
                return None
            raise
        file.close()
    raise OSError(errno.ESTALE, "the lock file is another one each time it is looked at", path)


def _is_at(file: FileIO, path: str) -> bool:
    # Not by its number of links: NFS and FUSE rename a file that is removed while somebody has it open, and it keeps the one that it has.
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(path))
    except FileNotFoundError:
        return False


def _opened(path: str, mode: str) -> FileIO:
    with _OPENING:
        file = FileIO(path, mode, opener=_open)
        _OPEN.add(file)
    return file


def _open(path: str, flags: int) -> int:
    # a link or a pipe that somebody put there is not followed, nor waited for
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


def _close_copies() -> None:
    """In a process that was forked off: what it got a copy of is held by its parent, and would be held as long as either lives."""
    try:
        for file in list(_OPEN):
            file.close()
    finally:
        _OPENING.release()


if _HAS_FLOCK:
    os.register_at_fork(before=_OPENING.acquire, after_in_parent=_OPENING.release, after_in_child=_close_copies)


def share(path: Path) -> Hold | None:
    """Hold the file together with others, for as long as what is returned lives. None where there is no flock. Raises OSError."""
    if not _HAS_FLOCK:
        return None
    file = _opened(str(path), "r")
    for _ in range(_TRIES):
        held = _try(file, fcntl.LOCK_SH)
        if held is not False:
            break
        sleep(_LOOKS_FOR_S)
    return _Flock(file) if held else None


def is_shared(path: Path) -> bool:
    """True when somebody holds the file by `share`, be it in this process. False where that cannot be told."""
    if not _HAS_FLOCK or not path.exists():
        return False
    try:
        file = _opened(str(path), "r")
    except OSError:
        return False
    try:
        for _ in range(_TRIES):
            if _try(file, fcntl.LOCK_EX) is not False:
                return False
            if _try(file, fcntl.LOCK_SH):  # so nobody else is just looking, as here
                return _try(file, fcntl.LOCK_EX) is False
            sleep(_LOOKS_FOR_S)
        return True
    finally:
        file.close()


def _try(file: FileIO, way: int) -> bool | None:
    """True: the lock is held now. False: somebody else holds it. None: there are no such locks."""
    try:
        fcntl.flock(file, way | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _HELD_ELSEWHERE else None
    return True


# -- without -----------------------------------------------------------------------------------------------------------------------------


def _filelock(path: Path) -> Hold | None:
    from filelock import FileLock, Timeout

    # A lock object of its own each time: one that is shared (singleton) or used again would let its owner in twice.
    lock = FileLock(path, blocking=False, thread_local=False, is_singleton=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    with suppress(OSError):
        handle = os.open(path, os.O_WRONLY)
        try:
            os.write(handle, _signature())
        finally:
            os.close(handle)
    return lock


# -- who it is ---------------------------------------------------------------------------------------------------------------------------


def _signature() -> bytes:
    # Always the same length, over what is there: cutting the file to size first costs 30 times as much.
    return f"process {os.getpid()} on {socket.gethostname()}".encode()[:_SIZE].ljust(_SIZE)


def holder(path: Path) -> str:
    """Who wrote the lock file last, as far as it can be told."""
    with suppress(OSError, ValueError):
        found = _HOLDER.match(path.read_text(encoding="utf-8"))
        if found:
            return "this process" if found[1] == str(os.getpid()) and found[2] == socket.gethostname() else found[0].rstrip()
    return "another process"
