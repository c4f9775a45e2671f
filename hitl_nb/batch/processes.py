"""Spawned processes that run one case after the other, and end with the process that started them, however that ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Final, TypeVar

J = TypeVar("J")
R = TypeVar("R")
_GRACE_S: Final = 15.0
"""How long a case that is stopped has to end its kernel and to say so in its notebook."""


def in_processes(call: Callable[[J], R], jobs: Sequence[J], workers: int) -> Generator[tuple[J, Future[R]]]:
    """Each job with its future, once that is done. `call` is a function of a module, and the jobs are plain data.

    Each process is a pool of its own: one that is killed (SIGKILL, out of memory) takes down the job that it ran, and no other; another takes its
    place. When the caller stops, or is killed, the processes see it at once: they interrupt what they run, and end.
    """
    context = get_context("spawn")
    told, tells = context.Pipe(duplex=False)
    pools: dict[ProcessPoolExecutor, None] = {}

    def started() -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=(told,))
        pools[pool] = None
        return pool

    idle = [started() for _ in range(min(workers, len(jobs)))]
    running: dict[Future[R], tuple[J, ProcessPoolExecutor]] = {}
    left = list(reversed(jobs))
    try:
        _require_started(idle)
        while left or running:
            while left and idle:
                pool, job = idle.pop(), left.pop()
                running[pool.submit(_run, call, job)] = (job, pool)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job, pool = running.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    del pools[pool]
                    pool.shutdown(wait=False)
                    pool = started()
                idle.append(pool)
                yield job, future
        for pool in pools:
            pool.shutdown()
    finally:
        tells.close()  # what still runs is interrupted
        for pool in pools:
            pool.shutdown(cancel_futures=True)
        told.close()


def in_executor(call: Callable[[J], R], jobs: Iterable[J], executor: Executor) -> Generator[tuple[J, Future[R]]]:
    """Each job with its future, once that is done, in somebody else's executor. What has not begun is cancelled when the caller stops."""
    futures = {_submitted(executor, call, job): job for job in jobs}
    try:
        for future in as_completed(futures):
            yield futures[future], future
    finally:
        for future in futures:
            future.cancel()


def _submitted(executor: Executor, call: Callable[[J], R], job: J) -> Future[R]:
    try:
        return executor.submit(call, job)
    except BrokenExecutor as error:  # one of its processes was killed: of a pool, no job is taken any more
        broken: Future[R] = Future()
        broken.set_exception(error)
        return broken


def _require_started(pools: Iterable[ProcessPoolExecutor]) -> None:
    try:
        for pid in [pool.submit(os.getpid) for pool in pools]:
            pid.result()
    except BrokenProcessPool:
        raise RuntimeError(
            'the processes of the batch cannot start. In a script, call run_batch below `if __name__ == "__main__":`, because each process imports '
            "the script first; or give an executor: run_batch(…, executor=ThreadPoolExecutor(2))"
        ) from None


# -- in the process ---------------------------------------------------------------------------------------------------------------------

_busy = threading.Event()


def _begin(told: Connection) -> None:
    """What a new process does first: leave Ctrl-C to the process that started it, and look whether that is still there."""
    signal.signal(signal.SIGINT, lambda *_: None)  # a handler, for SIG_IGN would be passed on to the kernels
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_watch, args=(told,), name="hitl-nb-batch", daemon=True).start()


def _watch(told: Connection) -> None:
    """Wait until the other end of the pipe is closed, which also a SIGKILL does; then interrupt the case, and end."""
    with suppress(EOFError, OSError):
        told.recv_bytes()
    ends_at = time.monotonic() + _GRACE_S
    if _busy.is_set():
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        else:
            signal.raise_signal(signal.SIGTERM)
    while _busy.is_set() and time.monotonic() < ends_at:
        time.sleep(0.05)
    os._exit(1)


def _interrupt(number: int, _: Any) -> None:
    if not _busy.is_set():
        os._exit(128 + number)
    raise KeyboardInterrupt


def _run(call: Callable[[J], R], job: J) -> R:
    _busy.set()
    try:
        return call(job)
    finally:
        _busy.clear()
