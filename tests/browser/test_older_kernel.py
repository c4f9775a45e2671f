"""Cards and waiting in JupyterLab with ipykernel 6.31, the last of its line, which reads its messages in another way than ipykernel 7."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("ipykernel==6.31.*", "nest_asyncio")
"""What ipykernel 7 does without; everything else it needs is installed for that one."""
ROOT = Path(__file__).parents[2]
GRAPH = """
import ipykernel
from hitl_nb import DiskCacheSaver, StateGraph, interrupt, review
print("ipykernel", ipykernel.__version__)
def check(state):
    said = interrupt({"question": "What should the subject line say?", "type": "text"})
    return {"said": said, "sent": interrupt("Send it?")}
graph = StateGraph().add_node("check", check).set_entry_point("check").compile(checkpointer=DiskCacheSaver("reviews"), name="letter")
"""
REVIEW = 'session = review(graph, {"to": "Lyon"}, thread_id="letter-1", reviewer="Dana Ruiz")'
RESULT = "print(session.result())"
TYPED = "The quick brown fox jumps over the lazy dog, 12 times. Ünï"


def installers():
    """Commands that may install a package, the likeliest first: tests are run by uv, or where only pip is."""
    outer = sys._base_executable
    uv = [[found] for found in dict.fromkeys((os.environ.get("UV"), shutil.which("uv"))) if found]
    for command in (*uv, [sys.executable, "-m", "uv"], [outer, "-m", "uv"]):
        yield [*command, "pip", "install", "--quiet", "--python", sys.executable]
    for python in (sys.executable, outer):
        yield [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


@pytest.fixture(scope="package")
def older(request, tmp_path_factory):
    """The folder with ipykernel 6.31, installed once for this checkout."""
    folder = Path(request.config.cache.mkdir("ipykernel-6.31"))
    if not (folder / "installed").exists():
        # Elsewhere than in the checkout, whose constraints name another version.
        fresh = tmp_path_factory.mktemp("ipykernel")
        said = []
        for command in installers():
            install = [*command, "--no-deps", "--target", fresh, *PACKAGES]
            try:
                done = subprocess.run(install, cwd=fresh, capture_output=True, text=True, timeout=120, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                said.append(str(error))
                continue
            if done.returncode == 0:
                break
            said.append(done.stderr.strip()[-300:])
        else:
            why = "ipykernel 6.31 cannot be installed: " + " | ".join(said)
            (pytest.fail if os.environ.get("HITL_NB_REQUIRE_BROWSER") == "1" else pytest.skip)(why)
        shutil.copytree(fresh, folder, dirs_exist_ok=True)
        (folder / "installed").touch()
    return folder


@pytest.fixture
def older_lab(older, server, page, lab):
    """`lab`, with that kernel."""
    spec = server.base / "data" / "kernels" / "older"
    if not spec.exists():
        spec.mkdir(parents=True)
        path = os.pathsep.join([str(older), str(server.base)])
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "older", "language": "python", "env": {"PYTHONPATH": path}}))
    page.evaluate("() => window.jupyterapp.serviceManager.kernelspecs.refreshSpecs()")
    return lambda cells: lab(cells, kernel="older")


def test_a_click_while_a_cell_waits_brings_every_key_that_was_typed(older_lab):
    notebook = older_lab([GRAPH, REVIEW, RESULT, "print('after')"])
    notebook.run_all()
    field = notebook.page.locator(".hitl-nb-main textarea")
    field.wait_for()
    assert notebook.output(0).inner_text().strip().startswith("ipykernel 6.31")
    notebook.executing(2)
    field.focus()
    notebook.page.keyboard.type(TYPED)
    notebook.page.keyboard.press("Control+Enter")
    notebook.button("Approve").click()
    notebook.done(3)
    assert str({"to": "Lyon", "said": TYPED, "sent": True}) in notebook.output(2).inner_text()
    assert "after" in notebook.output(3).inner_text()
    assert notebook.receipts().count() == 2


def test_an_interrupt_ends_the_wait_and_a_click_is_taken_while_no_cell_waits(older_lab):
    notebook = older_lab([GRAPH, REVIEW, RESULT])
    notebook.run_all()
    field = notebook.page.locator(".hitl-nb-main textarea")
    field.wait_for()
    notebook.executing(2)
    notebook.command("notebook:interrupt-kernel")
    notebook.output(2).get_by_text("KeyboardInterrupt").first.wait_for()
    field.fill(TYPED)
    notebook.button("Send answer").click()
    notebook.button("Reject").click()
    notebook.receipts().nth(1).wait_for()
    notebook.run(2)
    assert str({"to": "Lyon", "said": TYPED, "sent": False}) in notebook.output(2).inner_text()


def test_messages_keep_their_order_around_a_wait_in_a_kernel_without_a_page(older, tmp_path):
    """The two tests of the pump that depend most on how the kernel reads."""
    names = "in_their_order or between_two_cells"
    # A folder of its own: without one, pytest removes what earlier runs have left before it ends, which may take minutes.
    options = ["-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inner'}"]
    command = [sys.executable, "-m", "pytest", *options, "tests/kernel/test_pump.py", "-k", names]
    env = {**os.environ, "HITL_NB_KERNEL_PATH": str(older)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "2 passed" in done.stdout
