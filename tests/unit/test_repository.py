"""What the repository promises: one list of versions, declared dependencies, files that fit each other, nothing of the machine it was written on."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
IMPORTED_AS = {
    "pyyaml": "yaml", "markdown-it-py": "markdown_it", "pillow": "PIL", "pytest-xdist": "xdist", "apache-burr": "burr", "locus-sdk": "locus",
}  # fmt: skip
BORROWED = {
    "traitlets": "ipywidgets",
    "numpy": "extra data",
    "pandas": "extra data",
    "IPython": "ipywidgets",
    "pydantic_core": "pydantic",
    "typing_extensions": "pydantic",
    "referencing": "jsonschema",
    "zmq": "ipykernel, and only used where a kernel runs",
    "jinja2": "extra headless",
    "markupsafe": "extra headless, by jinja2",
    "papermill": "extra headless",
    "nbformat": "extra headless",
    "nbclient": "extra headless",
    "comm": "ipywidgets",
    "nbconvert": "extra headless",
    "ipykernel": "found by name, never required",
}
"""What is imported without being a core dependency, and who brings it."""


def committed():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("no git checkout: the list of committed files is unknown")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def pins(lines):
    return [line for line in lines if line and not line.startswith("#")]


def test_uv_and_pip_read_the_same_versions():
    for_pip = pins((ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines())
    assert for_pip == PYPROJECT["tool"]["uv"]["constraint-dependencies"], "run .ci/pin, which writes both"


def test_every_version_is_exact_and_named_once():
    lines = PYPROJECT["tool"]["uv"]["constraint-dependencies"]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.+]*", line)] == []
    names = [line.split("==")[0] for line in lines]
    assert len(names) == len(set(names))


def test_every_dependency_has_its_version():
    pinned = {line.split("==")[0] for line in PYPROJECT["tool"]["uv"]["constraint-dependencies"]}
    wanted = {
        requirement_name(r) for rs in (PYPROJECT["project"]["dependencies"], *PYPROJECT["project"]["optional-dependencies"].values()) for r in rs
    }
    assert wanted - {"hitl-nb"} <= pinned, "run .ci/pin"


def requirement_name(requirement):
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower()


def test_every_imported_package_is_a_declared_dependency():
    core = {requirement_name(r) for r in PYPROJECT["project"]["dependencies"]}
    known = {IMPORTED_AS.get(name, name.replace("-", "_")) for name in core} | BORROWED.keys() | sys.stdlib_module_names | {"hitl_nb"}
    imported = {top for file in (ROOT / "hitl_nb").rglob("*.py") for top in top_level_imports(file)}
    assert imported - known == set()


def test_every_core_dependency_is_imported():
    core = {IMPORTED_AS.get(name, name) for name in map(requirement_name, PYPROJECT["project"]["dependencies"])}
    assert core - {top for file in (ROOT / "hitl_nb").rglob("*.py") for top in top_level_imports(file)} == set()


def test_every_package_that_a_test_imports_is_declared():
    extras = PYPROJECT["project"]["optional-dependencies"].values()
    declared = {requirement_name(r) for requirements in (PYPROJECT["project"]["dependencies"], *extras) for r in requirements}
    known = {IMPORTED_AS.get(name, name.replace("-", "_")) for name in declared} | BORROWED.keys() | sys.stdlib_module_names | {"jupyter_client"}
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "notebooks").glob("*.py")]
    known |= {file.stem for file in files} | {"tests"} | {IMPORTED_AS.get(name, name.replace("-", "_")) for name in compared_with()}
    assert {top for file in files for top in top_level_imports(file)} - known == set()


def compared_with():
    """The systems that tests/benchmarks compares with, laid over the environment for its one command."""
    lines = (ROOT / "tests" / "benchmarks" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [requirement_name(line) for line in lines if not line.startswith("#")]


def top_level_imports(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


def test_binder_installs_this_package_with_those_versions():
    lines = pins((ROOT / "binder" / "requirements.txt").read_text(encoding="utf-8").splitlines())
    assert lines == ["-c ../constraints.txt", "-e .[demo]"]
    python = (ROOT / "binder" / "runtime.txt").read_text(encoding="utf-8").strip()
    assert python == "python-3.11", "without it Binder takes a Python that is too old"
    assert os.access(ROOT / "binder" / "postBuild", os.X_OK)


@pytest.mark.skipif(shutil.which("jupyter-repo2docker") is None, reason="jupyter-repo2docker is not installed (it is no dependency of the tests)")
def test_repo2docker_understands_the_repository():
    done = subprocess.run(["jupyter-repo2docker", "--no-build", "--debug", str(ROOT)], capture_output=True, text=True, check=True, timeout=120)
    steps = done.stdout + done.stderr
    assert re.search(r'pip install --no-cache-dir -r "binder/requirements.txt"', steps)
    assert "./binder/postBuild" in steps
    assert "python=3.11" in steps


def test_the_wheel_brings_the_notebooks_along():
    included = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert {source: f"hitl_nb/{source}" for source in included} == included
    notebooks = ROOT / "notebooks"
    shipped = {f"notebooks/{f.name}" for f in notebooks.iterdir() if f.suffix in {".ipynb", ".py"} or f.name in {"answers", "data"}}
    assert set(included) == shipped
    assert not (ROOT / "hitl_nb" / "notebooks").exists(), "the checkout has them once, in notebooks/"


def test_no_committed_file_is_a_leftover():
    left = re.compile(r"(^|/)(uv\.lock|\.venv|__pycache__|reviews|cleaned|hitl-nb-demo|hitl-nb-notebooks|cache\.db.*|\.ipynb_checkpoints)(/|$)")
    assert [str(f.relative_to(ROOT)) for f in committed() if left.search(str(f.relative_to(ROOT)))] == []


def test_no_committed_text_names_the_machine_it_was_written_on():
    signs = re.compile(rf"{re.escape(str(ROOT))}/|/root/|file:///|/opt/(pypi|wheels)|\.\./shared")
    found = [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in committed()
        if file != Path(__file__) and file.suffix in {".py", ".md", ".toml", ".txt", ".yaml", ".ipynb", ".css", ".js", ""}
        for match in signs.finditer(file.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_no_conflict_is_left_in_a_committed_text():
    marks = ("<" * 7 + " ", ">" * 7 + " ")
    assert [str(f) for f in committed() if f.suffix in {".py", ".md", ".toml"} and any(m in f.read_text(encoding="utf-8") for m in marks)] == []


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?://|#)([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8")))))
def test_the_readme_links_to_files_that_exist(link):
    assert (ROOT / link).exists()


def test_the_changelog_describes_the_version_of_the_package():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[(Unreleased|{re.escape(PYPROJECT['project']['version'])})\]", changelog, re.MULTILINE)
