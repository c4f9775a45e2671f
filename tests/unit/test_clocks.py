"""Only these places read the clock on the wall, which can jump: everything else is given a time, or waits by a clock that cannot."""

import ast
from pathlib import Path

import hitl_nb

PACKAGE = Path(hitl_nb.__file__).parent
WALL = {
    **{name: {"now", "utcnow", "today"} for name in ("datetime", "date", "dt")},
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "strftime"},
}
ALLOWED = {
    ("checkpoint/records.py", "datetime.now"),  # utc_now, which is injected everywhere
    ("checkpoint/rows.py", "time.time"),  # columns of diskcache's table, which nobody reads
    ("checkpoint/upkeep/vacuuming.py", "time.time"),  # compared with the times of files, as one guard more
}


def readings(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in WALL.get(node.value.id, ()):
            yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (f"time.{name.name}" for name in node.names if name.name in WALL["time"])


def test_only_three_places_read_the_clock_on_the_wall():
    found = {(path.relative_to(PACKAGE).as_posix(), reading) for path in PACKAGE.rglob("*.py") for reading in readings(path)}
    assert found == ALLOWED
