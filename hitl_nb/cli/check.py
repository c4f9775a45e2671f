"""`hitl-nb check`: an answers file, read and compared with the questions of a store before anything runs."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hitl_nb.cli.common import FAILED, STORE_VARIABLE, clean, json_option, opened, print_json, table, told

if TYPE_CHECKING:
    from hitl_nb.decisions.answers.lint import Report


@click.command(
    short_help="Check an answers file before anything runs.",
    epilog="Exit codes: 0 nothing is wrong; 1 there are errors (with --strict also warnings), or the file cannot be read; 2 wrong usage.",
)
@click.argument("answers", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False)
@click.argument("notebook", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False)
@click.option("--store", type=click.Path(path_type=Path), envvar=STORE_VARIABLE, show_envvar=True, metavar="DIR", help="Compare with its questions.")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of answers files, for an editor, and end.")
@json_option
@told
def check(answers: Path | None, notebook: Path | None, store: Path | None, *, strict: bool, schema: bool, as_json: bool) -> None:
    """Read ANSWERS, and say what is wrong with it.

    With --store the file is compared with the store's questions, the open ones and those that were decided: what answers what, what is missing,
    what does not fit, what is not used. What an unfinished graph will ask next nobody knows, so an entry that is not used yet is a warning.
    NOTEBOOK: its questions are known only when it runs, so only the file itself is checked.
    """
    from importlib.resources import files

    from hitl_nb.decisions.answers.lint import lint

    if schema:
        click.echo(files("hitl_nb.decisions.answers").joinpath("answers.schema.json").read_bytes(), nl=False)
        return
    if answers is None:
        raise click.UsageError("name the answers file: hitl-nb check answers.yaml (or --schema)")
    report = lint(answers, None if store is None else opened(store), store=str(store or ""))
    failed = report.errors > 0 or (strict and len(report.findings) > 0)
    if as_json:
        print_json(asdict(report) | {"ok": not failed})
    else:
        click.echo(_text(report, notebook))
    if failed:
        sys.exit(FAILED)


def _text(report: Report, notebook: Path | None) -> str:
    lines = [f"{report.file}: {_count(report.entries, 'entry', 'entries')}, {_count(report.defaults, 'default', 'defaults')}"]
    if report.store is None:
        why = f"The questions of {notebook} are known only when it runs" if notebook is not None else "No store was named"
        return "\n".join([*lines, f"{why}, so only the file itself was checked. It can be read. With the store of a run: --store DIR"])
    if report.matches:
        limits = (24, 20, 9, 48, 30, 40)
        rows = [(m.thread_id, m.node, m.status, m.question, (m.entry or "-").removeprefix(f"{report.file}, "), m.answer) for m in report.matches]
        lines += ["", table(("thread", "node", "status", "question", "answered by", "with"), rows, limits)]
    else:
        lines.append(f"The store {report.store} holds no questions.")
    for found in report.findings:
        lines += ["", f"{found.level}: {clean(found.message)}"]
        lines += ["", *(f"    {line}" for line in found.yaml.split("\n"))] if found.yaml else []
    warnings = len(report.findings) - report.errors
    return "\n".join([*lines, "", f"{_count(report.errors, 'error', 'errors')}, {_count(warnings, 'warning', 'warnings')}"])


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
