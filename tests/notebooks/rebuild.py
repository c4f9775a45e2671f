"""Execute the committed notebooks with their answers files and write them back, so that a second run writes the same bytes.

python tests/notebooks/rebuild.py             all
python tests/notebooks/rebuild.py 01          those whose name starts with 01
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
NAMES = (
    "01_first_review",
    "02_clean_real_data",
    "03_choose_route_and_loop",
    "04_parallel_and_subgraphs",
    "05_change_your_mind",
    "06_deadlines_and_escalation",
    "07_forms_from_schemas",
    "08_review_a_table",
    "09_your_own_renderer",
    "10_scripted_answers",
    "11_record_and_replay",
    "12_batch_and_inbox",
    "13_who_decided_what",
)
READS = ("*.py", "answers/*", "data/*")
CELL_TIMEOUT_S = 120


def copy_notebooks(folder: Path) -> Path:
    """`notebooks/` without what reviews left behind, so that a run writes nothing into the checkout."""
    for pattern in ("*.ipynb", *READS):
        for file in NOTEBOOKS.glob(pattern):
            target = folder / file.relative_to(NOTEBOOKS)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    return folder


def headless_env(folder: Path, name: str) -> dict[str, str]:
    """The environment of a run with the committed answers and a fresh store inside `folder`."""
    return {**os.environ, "HITL_NB_ANSWERS": str(folder / "answers" / f"{name}.yaml"), "HITL_NB_STORE": str(folder / "reviews")}


def rebuilt(folder: Path, name: str) -> str:
    """The text of the executed notebook `name` in `folder`, without anything that differs from run to run."""
    notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=40"],
    )
    client.execute(env=headless_env(folder, name))
    return normalised(notebook)


def shown(notebook: Any) -> list[str]:
    """What each code cell but the one that papermill adds shows, as text, in however many pieces it came: a kernel may send half a line first."""
    cells = [c for c in notebook.cells if c.cell_type == "code" and "injected-parameters" not in c.metadata.get("tags", ())]
    return ["".join(o.get("text", o.get("data", {}).get("text/plain", "")) for o in c.outputs) for c in cells]


def normalised(notebook: Any) -> str:
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        cell["metadata"] = {"tags": cell["metadata"]["tags"]} if cell["metadata"].get("tags") else {}
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    # The version of Python is a fact about the machine, not about the notebook.
    notebook["metadata"] = {"kernelspec": kernel, "language_info": {"name": "python"}}
    nbformat.validate(notebook)
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def main() -> None:
    wanted = sys.argv[1:] or [""]
    for name in NAMES:
        if any(name.startswith(prefix) for prefix in wanted):
            with tempfile.TemporaryDirectory() as folder:
                text = rebuilt(copy_notebooks(Path(folder)), name)
            (NOTEBOOKS / f"{name}.ipynb").write_text(text, encoding="utf-8")
            print("written:", f"notebooks/{name}.ipynb")


if __name__ == "__main__":
    main()
