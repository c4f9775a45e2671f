"""How fast hitl_nb is, as ratios against what was measured in the same run.

    python tests/benchmarks/speed.py                  # all rows; a few minutes
    python tests/benchmarks/speed.py --only chain --only loop
    python tests/benchmarks/speed.py --profile superstep

Contenders take turns (A B C A B C …), and every figure is a median over the rounds. Systems to compare with are left out where they are not
installed; tests/benchmarks/requirements.txt names them. What a person waits for is measured by two other scripts: tests/benchmarks/cards.py (the
cards, in a real JupyterLab) and tests/benchmarks/inbox.py (the inbox, in the kernel).
"""

from __future__ import annotations

import argparse
import cProfile
import io
import json
import pstats
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks import durable_rows, memory_rows, report, scale_rows
from tests.benchmarks.measuring import Result, Row, Setting, measured

ROWS: Final[dict[str, Row]] = {row.name: row for row in (*memory_rows.ROWS, *durable_rows.ROWS, *scale_rows.ROWS)}


def arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="ROW", action="append", choices=ROWS, help=f"only this row, or these: {', '.join(ROWS)}")
    parser.add_argument("--quick", action="store_true", help="a small size, to see that it runs; the figures mean nothing")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write all figures there")
    parser.add_argument(
        "--markdown", metavar="PAGE", type=Path, help="also write the table into this page, between its two marks; docs/speed.md is one"
    )
    parser.add_argument("--profile", metavar="ROW", choices=ROWS, help="instead, say where the time of this row goes")
    parser.add_argument("--folder", metavar="DIR", type=Path, help="make the stores in there, so on its file system (default: a temporary folder)")
    return parser.parse_args(given)


def profile(row: Row, setting: Setting) -> str:
    """Where the time goes: by leaving parts out, where the row knows how; and by function."""
    shown = ""
    if row.profile is not None:
        parts = Setting(setting.folder / "parts", setting.quick)
        parts.folder.mkdir()
        shown = row.profile(parts) + "\n"
    contest = row.prepare(setting)
    for name in [n for n in contest.runs if n in {goal.ours for goal in contest.goals}]:
        contest.runs[name]()
        profiler = cProfile.Profile()
        profiler.runcall(contest.runs[name])
        out = io.StringIO()
        pstats.Stats(profiler, stream=out).strip_dirs().sort_stats("tottime").print_stats(25)
        shown += f"\n{name}, by function (which makes Python's part look larger than it is)\n{out.getvalue()}"
    return shown


def run(rows: list[Row], folder: Path, *, quick: bool) -> list[Result]:
    results = []
    for row in rows:
        place = folder / row.name
        place.mkdir()
        results.append(measured(row, Setting(place, quick)))
        print(report.text(results[-1]), flush=True)
        shutil.rmtree(place, ignore_errors=True)
    return results


def main(given: list[str] | None = None) -> int:
    options = arguments(given)
    with tempfile.TemporaryDirectory(prefix="hitl-nb-speed-", dir=options.folder) as made:
        folder = Path(made)
        if options.profile:
            print(profile(ROWS[options.profile], Setting(folder, options.quick)))
            return 0
        on = report.machine(folder)
        print("\n".join(f"{name:28} {said}" for name, said in on.items()), flush=True)
        results = run([ROWS[name] for name in options.only or ROWS], folder, quick=options.quick)
    if options.json:
        options.json.write_text(json.dumps(report.as_data(results, on), indent=1), encoding="utf-8")
    if options.markdown:
        report.put_into(options.markdown, report.markdown(results, on))
    missed = [f"{r.row.name} ({report.comparison(v)})" for r in results for v in r.verdicts() if v.holds is False]
    print(f"\nmissed: {', '.join(missed) or 'none'}" + ("; but at this size the figures mean nothing" if options.quick else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
