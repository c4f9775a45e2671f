"""The layers of hitl_nb: imports only go down, siblings do not know each other, and heavy packages stay where they belong."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hitl_nb

PACKAGE = Path(hitl_nb.__file__).parent
STANDARD = set(sys.stdlib_module_names)

# The first entry that a module starts with is its layer. A module may import its own entry and entries of a lower number.
LAYERS = [
    ("hitl_nb.cli", 7),
    ("hitl_nb.widgets", 6),
    ("hitl_nb.batch", 6),
    ("hitl_nb.session", 5),
    ("hitl_nb.waiting", 5),
    ("hitl_nb.responders", 4),
    ("hitl_nb.graph", 3),
    ("hitl_nb.decisions", 2),
    ("hitl_nb.checkpoint.memory", 1),
    ("hitl_nb.checkpoint.disk", 1),
    ("hitl_nb.checkpoint", 0),
    ("hitl_nb.plain", -1),
    ("hitl_nb.errors", -2),  # below all: everybody may raise one
    ("hitl_nb", 8),  # the public names, of all layers
]

# Who may import it at all.
ONLY_IN = {
    "IPython": ("hitl_nb.widgets",),
    "ipywidgets": ("hitl_nb.widgets",),
    "anywidget": ("hitl_nb.widgets",),
    "jinja2": ("hitl_nb.batch",),
    "papermill": ("hitl_nb.batch",),
    "nbformat": ("hitl_nb.batch",),
    "nbclient": ("hitl_nb.batch",),
    "nbconvert": ("hitl_nb.batch",),
    "diskcache": ("hitl_nb.checkpoint.bytes_disk", "hitl_nb.checkpoint.opening"),
    "filelock": ("hitl_nb.checkpoint.holding",),
    "click": ("hitl_nb.cli",),
    "markdown_it": ("hitl_nb.widgets.markdown",),
    "nh3": ("hitl_nb.widgets.markdown",),
}

# What may be imported when a module is loaded; everything else inside the function that needs it.
AT_MODULE_LEVEL = {
    "hitl_nb.widgets": {"IPython", "ipywidgets", "anywidget", "traitlets"},
    "hitl_nb.checkpoint.opening": {"diskcache"},
    "hitl_nb.checkpoint.bytes_disk": {"diskcache"},
    # Loaded when a value of theirs is met, see test_import_cost.
    "hitl_nb.checkpoint.arrays": {"numpy", "ormsgpack"},
    "hitl_nb.checkpoint.frames": {"numpy", "pandas", "ormsgpack"},
    "hitl_nb.checkpoint": {"ormsgpack"},
    "hitl_nb.cli": {"click"},
    # Loaded when a notebook is run, by the engine and by nothing else.
    "hitl_nb.batch.client": {"papermill", "nbclient", "nbformat"},
}


def complaints(package: Path) -> list[str]:
    """What breaks the rules in the package's files, as `file:line: reason`."""
    found = []
    for file in sorted(package.rglob("*.py")):
        if "notebooks" in file.relative_to(package).parts:
            continue
        parts = ("hitl_nb", *file.relative_to(package).with_suffix("").parts)
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        for imported, line, deferred in imports(file, module, package):
            reason = breaks(module, imported, deferred=deferred)
            if reason:
                found.append(f"{file.relative_to(package)}:{line}: {reason}")
    return found


def imports(file: Path, module: str, package: Path) -> Iterator[tuple[str, int, bool]]:
    """Each imported module with its line, and whether it is imported later than at loading (inside a function, or for type checking)."""

    def walk(node: ast.AST, *, deferred: bool) -> Iterator[tuple[str, int, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, child.lineno, deferred) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                home = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
                base = ".".join(home[: len(home) - child.level + 1]) if child.level else ""
                source = ".".join(filter(None, (base, child.module or "")))
                # `from hitl_nb.checkpoint import disk` imports hitl_nb.checkpoint.disk.
                yield from ((f"{source}.{a.name}" if is_module(f"{source}.{a.name}") else source, child.lineno, deferred) for a in child.names)
            else:
                later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_type_checking(child)
                yield from walk(child, deferred=deferred or later)

    def is_module(name: str) -> bool:
        place = package.joinpath(*name.split(".")[1:])
        return name.startswith("hitl_nb.") and (place.with_suffix(".py").is_file() or place.is_dir())

    yield from walk(ast.parse(file.read_text(encoding="utf-8")), deferred=False)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def breaks(module: str, imported: str, *, deferred: bool) -> str | None:
    top = imported.partition(".")[0]
    if top == "hitl_nb":
        (own, own_layer), (other, other_layer) = layer_of(module), layer_of(imported)
        if own == other or other_layer < own_layer:
            return None
        return f"{own} (layer {own_layer}) imports {imported} (layer {other_layer}); imports only go down"
    if top in ONLY_IN and not module.startswith(ONLY_IN[top]):
        return f"imports {top}, which only {', '.join(ONLY_IN[top])} may"
    allowed = next((names for prefix, names in AT_MODULE_LEVEL.items() if module.startswith(prefix)), set())
    if not deferred and top not in STANDARD | allowed:
        return f"imports {top} when it is loaded; import it inside the function that needs it"
    return None


def layer_of(module: str) -> tuple[str, int]:
    return next((name, layer) for name, layer in LAYERS if module == name or module.startswith(f"{name}."))


def test_imports_of_hitl_nb_only_go_down_and_heavy_ones_stay_in_their_layer():
    assert complaints(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("errors.py", "import hitl_nb.graph.loop", "imports only go down"),
        ("checkpoint/base.py", "from hitl_nb.checkpoint import disk", "imports only go down"),
        ("checkpoint/base.py", "from .disk import DiskCacheSaver", "imports only go down"),
        ("checkpoint/memory.py", "def f():\n    from hitl_nb.checkpoint.disk import DiskCacheSaver", "imports only go down"),
        ("widgets/card.py", "import hitl_nb.batch.run", "imports only go down"),
        ("batch/run.py", "from hitl_nb.widgets import card", "imports only go down"),
        ("session.py", "from hitl_nb import StateGraph", "imports only go down"),
        ("graph/__init__.py", "from ..responders import base", "imports only go down"),
        ("session.py", "def f():\n    import ipywidgets", "only hitl_nb.widgets may"),
        ("cli.py", "def f():\n    import papermill.execute", "only hitl_nb.batch may"),
        ("checkpoint/base.py", "import diskcache", "only hitl_nb.checkpoint.bytes_disk, hitl_nb.checkpoint.opening may"),
        ("decisions/check.py", "import pydantic", "inside the function that needs it"),
        ("batch/run.py", "import papermill", "inside the function that needs it"),
        ("decisions/script.py", "if True:\n    import yaml", "inside the function that needs it"),
    ],
)
def test_the_check_names_an_import_that_breaks_the_rules(tmp_path, file, source, complaint):
    for name in ("checkpoint/disk.py", "checkpoint/base.py", "widgets/card.py", "batch/run.py", "responders/base.py", "graph/loop.py", file):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / file).write_text(source)
    found = complaints(tmp_path)
    assert len(found) == 1, found
    assert complaint in found[0]
    assert found[0].startswith(file)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("decisions/check.py", "def f():\n    import pydantic"),
        ("checkpoint/opening.py", "import diskcache\nfrom hitl_nb.checkpoint.base import Checkpointer"),
        ("session.py", "from hitl_nb.responders.base import View\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pydantic"),
        ("__init__.py", "from hitl_nb.session import review"),
    ],
)
def test_the_check_lets_a_clean_file_pass(tmp_path, file, source):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(source)
    assert complaints(tmp_path) == []
