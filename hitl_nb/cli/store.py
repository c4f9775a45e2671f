"""`hitl-nb store`: what lies in a store's folder, whether it is whole, a copy of it, what can be saved of it, its space, and its journal."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitl_nb.cli.common import FAILED, STORE_VARIABLE, clean, json_option, print_json, store_option, told
from hitl_nb.cli.completing import complete_threads
from hitl_nb.decisions.wording import plural

if TYPE_CHECKING:
    from hitl_nb.checkpoint.filesystem import Journal
    from hitl_nb.checkpoint.upkeep.health import Health


@click.group(
    short_help="Look after a store: info, check, backup, repair, vacuum, journal.",
    epilog="Every one of them takes --store and --json. Exit codes: 0 done, or it is whole; 1 it is damaged, or failed; 2 wrong usage.",
)
def store() -> None:
    """Look after the folder of a store. info and check write nothing; repair writes only a new folder."""


@store.command(short_help="Print what lies in the folder.", epilog="Exit codes: 0 printed; 1 it cannot be read; 2 wrong usage.")
@store_option
@json_option
@told
def info(store: Path, *, as_json: bool) -> None:
    """Print what lies in the folder: threads, open questions, decisions, bytes, format, file system."""
    from hitl_nb.checkpoint.upkeep.describing import describe

    found = describe(_there(store))
    if as_json:
        print_json(asdict(found) | {"bytes": found.bytes})
        return
    log = f", newest {found.log_head[:12]}" if found.log_head else ""
    waiting = f", {_size(found.write_ahead_bytes)} of it in the write-ahead log" if found.write_ahead_bytes else ""
    for name, value in (
        ("folder", found.folder),
        ("threads", f"{found.threads}"),
        ("open questions", f"{found.open_questions}"),
        ("decision log", f"{plural(found.log_entries, 'entry', 'entries')}{log}"),
        ("on disk", f"{_size(found.bytes)}: {plural(found.records, 'record')}, {plural(found.value_files, 'value file')}{waiting}"),
        ("lock files", f"{found.lock_files}"),
        ("format", f"{found.format}, journal {found.journal_mode}"),
        ("durability", "chosen by who opens it: DiskCacheSaver(durability='normal' or 'full')"),
        ("reviewers", found.reviewers_file or "no file: anybody may answer"),
        ("file system", f"{found.file_system or 'unknown'}{'' if found.writable else ', not writable here'}"),
    ):
        click.echo(f"{name:16}{clean(value)}")
    for warning in found.warnings:
        click.echo(f"warning: {clean(warning)}", err=True)


@store.command(short_help="Look whether the folder is whole.", epilog="Exit codes: 0 it is whole; 1 it is damaged, or cannot be read; 2 wrong usage.")
@store_option
@json_option
@told
def check(store: Path, *, as_json: bool) -> None:
    """Read every record and every value file, and compare what they say of one another. Nothing is written, and no stored code is run.

    Prints what is damaged, by file and thread, and what can still be read. Others may use the store meanwhile.
    """
    from hitl_nb.checkpoint.upkeep.checking import check as look

    health = look(_there(store))
    if as_json:
        print_json(_plain(health))
    else:
        _print(health)
    if not health.ok:
        click.echo("Restore a backup, or save what is whole: hitl-nb store repair --to DIR", err=True)
        sys.exit(FAILED)


@store.command(short_help="Copy the store while others use it.", epilog="Exit codes: 0 copied and whole; 1 not copied; 2 wrong usage.")
@click.argument("target", type=click.Path(path_type=Path))
@store_option
@json_option
@told
def backup(target: Path, store: Path, *, as_json: bool) -> None:
    """Copy the store as it is at one moment to the folder TARGET, which must not be there yet, and check the copy. Others may write meanwhile.

    The copy opens as a store. It gets its name when it is complete and on the disk, so a TARGET that is there is whole.
    """
    from hitl_nb.checkpoint.upkeep.backup import backup as copy

    health = copy(_there(store), target)
    if as_json:
        print_json(_plain(health))
    else:
        click.echo(f"Copied to {clean(health.folder)}: {_figures(health)}, whole.")


@store.command(
    short_help="Save what is whole of a damaged store into a new folder.",
    epilog="Exit codes: 0 the new store is whole and nothing was lost; 1 something is missing, or nothing was made; 2 wrong usage.",
)
@click.option("--to", "target", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The new folder, which must not be there yet.")
@click.option(
    "--drop-thread", "drop", multiple=True, metavar="THREAD", shell_complete=complete_threads,
    help="Leave this thread behind, so that its name can be used again. Its decisions and their log are kept. May be given more than once.",
)  # fmt: skip
@store_option
@json_option
@told
def repair(target: Path, drop: tuple[str, ...], store: Path, *, as_json: bool) -> None:
    """Take over what is whole of a damaged store into a new folder, and say exactly what is missing. The damaged folder stays as it is.

    Nothing is invented. A thread that lost what it needs can be read as far as it is there, and running it is an error, because it would ask again
    what was decided. --drop-thread gives it up.
    """
    from hitl_nb.checkpoint.disk import DiskCacheSaver
    from hitl_nb.checkpoint.upkeep.repairing import repair as save

    done = save(_there(store), target, make=lambda folder: DiskCacheSaver(folder, durability="full"), drop=drop)
    health = done.health
    assert health is not None  # a repair ends with a check
    whole = health.ok and not done.lost
    if as_json:
        print_json({**asdict(done), "health": _plain(health), "ok": whole})
    else:
        for line in done.lost:
            click.echo(f"LOST     {clean(line)}")
        for line in done.done:
            click.echo(f"done     {clean(line)}")
        for thread in done.dropped:
            click.echo(f"dropped  thread {clean(repr(thread))}; its decisions are kept")
        if done.blind:
            click.echo("WARNING  what is lost says not what it was: threads may be gone altogether, and one that begins again asks again")
        _print(health)
        click.echo(f"{plural(done.records, 'record')} taken over into {clean(done.target)}; {clean(done.folder)} is as it was.")
    if not whole:
        sys.exit(FAILED)


@store.command(short_help="Give back space.", epilog="Exit codes: 0 done; 1 it stayed locked, or is damaged; 2 wrong usage.")
@store_option
@json_option
@told
def vacuum(store: Path, *, as_json: bool) -> None:
    """Give back space: value files of no record, lock files that nobody holds, free pages of the database. Others may use the store meanwhile.

    No record is removed. To forget old checkpoints or threads, use prune() or delete_thread() of DiskCacheSaver first.
    """
    from hitl_nb.checkpoint.disk import DiskCacheSaver
    from hitl_nb.checkpoint.upkeep.vacuuming import vacuum as give_back

    saver = DiskCacheSaver(_there(store))
    try:
        freed = give_back(store, free_locks=saver.free_locks)
    finally:
        saver.close()
    if as_json:
        print_json(asdict(freed))
        return
    files = f"{plural(freed.value_files, 'value file')} of no record, {plural(freed.lock_files, 'lock file')} of nobody"
    click.echo(f"{_size(freed.before)} before, {_size(freed.after)} after: removed {files}; the database was packed.")
    if not freed.complete:
        click.echo("Somebody reads the store, so its write-ahead log was not emptied; it will be when nobody does.", err=True)


@store.command(short_help="Give it another journal.", epilog="Exit codes: 0 done, or it had that journal; 1 not changed; 2 wrong usage.")
@click.argument("journal", type=click.Choice(["wal", "delete"]))
@store_option
@json_option
@told
def journal(journal: Journal, store: Path, *, as_json: bool) -> None:
    """Give the store another journal, while nobody has it open: "delete" before two machines share it, "wal" for one machine alone, which is quicker.

    What is stored stays as it is. On a network file system it is first tried whether locks do what they must.
    """
    from hitl_nb.checkpoint.upkeep.journal import change_journal

    changed = change_journal(_there(store), journal)
    if as_json:
        print_json({"folder": str(store), "journal": journal, "changed": changed})
    else:
        click.echo(f"{clean(str(store))} {'has now' if changed else 'had already'} the journal {journal}.")


def _there(store: Path) -> Path:
    if not (store / "cache.db").is_file():
        raise click.UsageError(f"there is no store in {store} (seen from {Path.cwd()}); name its folder with --store or {STORE_VARIABLE}")
    return store


def _plain(health: Health) -> dict[str, Any]:
    return asdict(health) | {"ok": health.ok, "damaged_threads": health.damaged_threads, "damaged_files": health.damaged_files}


def _print(health: Health) -> None:
    for damage in health.damages:
        thread = f"  thread {clean(repr(damage.thread_id))}" if damage.thread_id else ""
        click.echo(f"DAMAGE   {clean(damage.file)}{thread}  {clean(damage.what)}")
    if health.more:
        click.echo(f"DAMAGE   and {health.more} more")
    for note in health.notes:
        click.echo(f"note     {clean(note)}")
    if health.ok:
        click.echo(f"{clean(health.folder)}: {_figures(health)}, whole.")
        return
    threads = health.damaged_threads
    named = f": {clean(', '.join(threads[:10]))}{' …' if len(threads) > 10 else ''}" if threads else ""
    click.echo(f"{clean(health.folder)} is DAMAGED ({plural(len(health.damages) + health.more, 'problem')}). Damaged threads: {len(threads)}{named}.")
    click.echo(
        f"Still readable: {plural(health.records, 'record')}, {plural(max(health.threads - len(threads), 0), 'whole thread')} of {health.threads}."
    )


def _figures(health: Health) -> str:
    counts = (plural(health.threads, "thread"), plural(health.records, "record"), plural(health.value_files, "value file"))
    return f"{', '.join(counts)}, {_size(health.bytes)}"


def _size(count: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
