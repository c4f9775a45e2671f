"""The notebooks that came with this hitl_nb, and what is needed to run them."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Final

import click

from hitl_nb.cli.common import USAGE

DEMO: Final = "02_clean_real_data"
PACKAGE: Final = Path(__file__).parent.parent


def notebooks_folder() -> Path:
    """The notebooks that came with this hitl_nb: inside an installed package, or beside it in a checkout."""
    for folder in (PACKAGE / "notebooks", PACKAGE.parent / "notebooks"):
        if (folder / f"{DEMO}.ipynb").is_file():
            return folder
    raise click.ClickException(f"no notebooks beside {PACKAGE}; install hitl-nb again, or run the command in a checkout")


def copy_notebooks(folder: Path) -> Path:
    """The notebooks with what they read, in a folder of the user's own. A file that is already there is kept: somebody may have edited it."""
    source = notebooks_folder()
    for pattern in ("*.ipynb", "*.py", "answers/*", "data/*"):
        for file in sorted(source.glob(pattern)):
            target = folder / file.relative_to(source)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
    return folder


def own_notebooks() -> Path:
    """The notebooks where they can be edited: those of a checkout, or a copy of an installed package's."""
    source = notebooks_folder()
    return copy_notebooks(Path("hitl-nb-notebooks")) if source.parent == PACKAGE else source


def require(*modules: str, extra: str) -> None:
    """End with the command that installs what is missing of these modules."""
    missing = [m for m in modules if importlib.util.find_spec(m) is None]
    if missing:
        click.echo(f'{", ".join(missing)}: not installed. Run: python -m pip install "hitl-nb[{extra}]"', err=True)
        raise SystemExit(USAGE)
