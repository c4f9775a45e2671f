"""A batch as a person starts it in a shell, and whoever kills it; for the tests that stop one, and for the run with a hundred cases."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from refunds import refunds

PATIENCE_S = 120


class Night:
    """A folder with a notebook, cases and answers, and the runs of their batch, two at a time."""

    def __init__(self, folder, rows, answers):
        """rows: thread, amount, and the file that the case holds for while it is there ("" for none)."""
        self.folder, self.out, self.effects = folder, folder / "night", folder / "effects.log"
        self.store = self.out / "reviews"
        refunds(folder / "refunds.ipynb")
        lines = [f"{name},{amount},{self.effects},{hold}" for name, amount, hold in rows]
        (folder / "cases.csv").write_text("\n".join(["thread_id,amount,effects,hold", *lines]), encoding="utf-8")
        self.answers = folder / "answers.yaml"
        self.answers.write_text(answers, encoding="utf-8")

    def start(self):
        # a group of its own, as a shell gives it to a command, so that Ctrl-C reaches the processes of the batch, too
        return subprocess.Popen(
            [*CLI, "batch", "refunds.ipynb", "--cases", "cases.csv", "--answers", "answers.yaml", "--out", "night", "--workers", "2", "--json"],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self):
        """Exit code, what was printed as JSON, and what was told beside it."""
        batch = self.start()
        out, err = batch.communicate(timeout=60 * PATIENCE_S)
        assert out, f"it printed nothing, and ended with {batch.returncode}:\n{err}"
        return batch.returncode, json.loads(out), err

    def held(self, batch, *names):
        """The kernels that hold in these cases, once they do."""
        files = [self.folder / f"{name}.held" for name in names]
        until(lambda: batch.poll() is not None or all(f.is_file() and f.read_text() for f in files))
        assert batch.poll() is None, batch.communicate()[1]
        kernels = [int(f.read_text()) for f in files]
        for file in files:
            file.unlink()
        return kernels

    def answer(self, thread_id, answer):
        """Answer the open question of a thread from the command line."""
        [question] = self.called("pending", "--thread", thread_id, "--json")
        self.called("answer", question["id"], answer, "--reviewer", "cleo", "--json")

    def called(self, *arguments):
        done = subprocess.run([*CLI, *arguments, "--store", str(self.store)], capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        assert done.returncode in (0, 75), done.stderr
        return json.loads(done.stdout)

    def happened(self):
        return Counter(self.effects.read_text(encoding="utf-8").splitlines())


CLI = [sys.executable, "-m", "hitl_nb.cli"]


def kill(batch):
    """SIGKILL the batch, and wait until nothing of it is left. Seconds that this took."""
    family = descendants(batch.pid)
    began = time.monotonic()
    batch.send_signal(signal.SIGKILL)
    batch.communicate()
    until(lambda: not any(map(alive, family)))
    return time.monotonic() - began


def until(true, patience_s=PATIENCE_S):
    end = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def descendants(pid):
    """The processes that a process started, and those that they started: its workers and their kernels."""
    parents = {int(p.name): _parent(p) for p in Path("/proc").iterdir() if p.name.isdigit()}
    found, at = [], [pid]
    while at:
        at = [child for child, parent in parents.items() if parent in at]
        found += at
    return found


def _parent(process):
    try:
        return int((process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except OSError:
        return os.getpid()


def open_inbox(server, page, folder):
    """The notebook that the batch wrote, in a real page. `server`, `page`: of the browser tests."""
    path = f"{folder}/night/inbox.ipynb"
    page.evaluate("(path) => window.jupyterapp.commands.execute('docmanager:open', { path }).then(() => {})", path)
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    notebook = server.notebook(page, path)
    notebook.ready()
    return notebook


def answer_in_the_inbox(notebook, answers, together, *, first=""):
    """Answer one question after the other, from the first one with these words on; then all others together."""
    page = notebook.page
    notebook.run(1)
    page.wait_for_selector(".hitl-nb-inbox[data-dressed] .hitl-nb-item")
    if answers:
        page.locator(".hitl-nb-item", has_text=first).first.locator(".hitl-nb-openit").click()
    for number, answer in enumerate(answers, 1):
        card = page.locator(".hitl-nb-inbox > .hitl-nb-card[data-dressed]")
        card.get_by_role("button", name=answer, disabled=False).click()
        page.wait_for_function(f"document.querySelectorAll('.hitl-nb-item .hitl-nb-verdict').length === {number}")
    if together:
        page.locator(".hitl-nb-item input[type=checkbox]:enabled").first.check()
        page.get_by_role("button", name="Pick all like these").click()
        page.get_by_role("button", name="Answer together…").click()
        bulk = page.locator(".hitl-nb-bulk[data-dressed]")
        bulk.get_by_text(together, exact=True).click()
        bulk.get_by_role("button", name=f"{together} ").click()
        bulk.get_by_text("questions recorded").wait_for()
