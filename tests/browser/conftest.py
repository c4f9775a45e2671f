"""A real JupyterLab and a real Chromium for the tests of the notebook front end. One server and one browser for all of them."""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

HERE = Path(__file__).parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}


def missing():
    """Why the browser tests cannot run here; empty when they can."""
    if CHROMIUM is None:
        return "no Chromium on this machine"
    for name in ("playwright.sync_api", "jupyterlab"):
        try:
            __import__(name)
        except ImportError:
            return f"{name} is not installed"
    return ""


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A JupyterLab with empty settings of its own; `HITL_NB_REQUIRE_BROWSER=1` makes its absence a failure instead of a skip."""
    why = missing()
    if why and os.environ.get("HITL_NB_REQUIRE_BROWSER") == "1":
        pytest.fail(f"the browser tests are required here, but {why}")
    if why:
        pytest.skip(why)
    with Server(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="session")
def browser(server):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def page(server, browser):
    """One JupyterLab in one page: loading it takes longer than most of the tests."""
    opened = browser.new_context().new_page()
    opened.set_default_timeout(15_000)
    opened.goto(f"{server.url}/lab?token={server.token}&reset")
    opened.wait_for_function("() => window.jupyterapp?.restored.then(() => true)", timeout=60_000)
    return opened


@pytest.fixture
def lab(server, page):
    """Opens a notebook with the given cells: `lab([...cells...], theme="dark")`."""

    def open_notebook(cells, *, width=1400, height=1000, theme="light"):
        name = f"{secrets.token_hex(4)}/work.ipynb"
        server.write(name, cells)
        page.set_viewport_size({"width": width, "height": height})
        if page.locator(".jp-Dialog").count():  # an earlier test that failed may have left it open
            page.keyboard.press("Escape")
        notebook = Notebook(server, page, name)
        notebook.command("apputils:change-theme", {"theme": f"JupyterLab {theme.title()}"})
        page.wait_for_selector(f'body[data-jp-theme-light="{str(theme == "light").lower()}"]', state="attached")
        page.evaluate("() => { for (const w of [...window.jupyterapp.shell.widgets('main')]) w.dispose(); window.jupyterapp.shell.collapseLeft(); }")
        notebook.command("docmanager:open", {"path": name})
        notebook.ready()
        return notebook

    yield open_notebook
    server.stop_kernels()


class Server:
    def __init__(self, base):
        self.base, self.root = base, base / "root"
        self.root.mkdir()
        shutil.copy(HERE / "stage.py", base / "stage.py")
        for name, value in SETTINGS.items():
            package, _, plugin = name.rpartition("/")
            folder = base / "settings" / package
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{plugin}.jupyterlab-settings").write_text(json.dumps(value))

    def __enter__(self):
        b = self.base
        env = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "HITL_NB"))}
        env |= {
            f"JUPYTER{k}": str(b / v)
            for k, v in {"LAB_SETTINGS_DIR": "settings", "LAB_WORKSPACES_DIR": "ws", "_CONFIG_DIR": "cfg", "_RUNTIME_DIR": "rt"}.items()
        }
        env |= {"JUPYTER_DATA_DIR": str(b / "data"), "IPYTHONDIR": str(b / "ipython"), "PYTHONPATH": str(b), "PYTHONWARNINGS": "ignore"}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.token, self.url = secrets.token_hex(12), f"http://127.0.0.1:{port}"
        command = [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--allow-root",
            "--ip=127.0.0.1",
            f"--port={port}",
            "--ServerApp.port_retries=0",
        ]
        command += [
            f"--IdentityProvider.token={self.token}",
            f"--ServerApp.root_dir={self.root}",
            "--expose-app-in-browser",
            "--LabApp.extension_manager=readonly",
        ]
        self.log = (b / "server.log").open("wb")
        self.process = subprocess.Popen(command, env=env, stdout=self.log, stderr=subprocess.STDOUT, cwd=self.root, start_new_session=True)
        end = time.monotonic() + 60
        while True:
            try:
                self.api("/api/status")
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError((b / "server.log").read_text()[-3000:]) from None
                time.sleep(0.2)

    def __exit__(self, *_):
        self.stop_kernels()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()

    def api(self, path, method="GET"):
        request = urllib.request.Request(self.url + path, method=method, headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=20) as response:
            data = response.read()
        return json.loads(data) if data else None

    def stop_kernels(self):
        for session in self.api("/api/sessions"):
            self.api(f"/api/sessions/{session['id']}", "DELETE")

    def write(self, name, cells):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)


class Notebook:
    """A notebook in JupyterLab, driven through the page."""

    FIND = "(() => window.jupyterapp?.shell.currentWidget)()"

    def __init__(self, server, page, path):
        self.server, self.page, self.path = server, page, path
        self.folder = (server.root / path).parent

    def ready(self):
        self.wait(f"W?.context?.path === '{self.path}' && W.sessionContext.session?.kernel?.status === 'idle'", 60)
        # The page may be idle before it has made its cells, one after the other.
        self.wait("W.content.widgets.length > 0 && W.content.widgets.length === W.content.model?.cells.length", 60)

    def js(self, body, argument=None):
        return self.page.evaluate(f"(arg) => {{ const W = {self.FIND}; {body} }}", argument)

    def wait(self, condition, seconds=20, argument=None):
        self.page.wait_for_function(f"(arg) => {{ const W = {self.FIND}; return {condition}; }}", arg=argument, timeout=seconds * 1000)

    def command(self, name, arguments=None):
        self.page.evaluate("([n, a]) => { void window.jupyterapp.commands.execute(n, a || {}); }", [name, arguments])

    def finish(self, name):
        self.page.evaluate("async (n) => { await window.jupyterapp.commands.execute(n); }", name)

    def run_all(self):
        self.command("notebook:run-all-cells")

    def run(self, index, *, wait=True):
        self.js("W.content.activeCellIndex = arg; W.content.deselectAll(); W.content.widgets[arg].model.executionCount = null;", index)
        self.command("notebook:run-cell")
        if wait:
            self.done(index)

    def done(self, index, seconds=30):
        """Wait until the cell has been executed."""
        self.wait("(m => m.executionState === 'idle' && m.executionCount !== null)(W.content.widgets[arg].model)", seconds, index)
        errors = self.js("return W.content.widgets[arg].model.outputs.toJSON().filter(o => o.output_type === 'error')", index)
        assert not errors, f"{errors[0]['ename']}: {errors[0]['evalue']}"

    def is_running(self, index):
        return self.js("return W.content.widgets[arg].model.executionState !== 'idle';", index)

    def cells(self):
        return self.js("return W.content.widgets.map(w => [w.model.type, w.model.sharedModel.getSource()]);")

    def output(self, index):
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index).locator(".jp-Cell-outputArea")

    def reload(self):
        self.page.reload()
        self.ready()

    def saved(self):
        """Save, and read what is in the file."""
        self.finish("docmanager:save")
        return nbformat.read(self.server.root / self.path, 4)

    def button(self, label, nth=0):
        return self.page.locator(".hitl-nb-card button", has_text=re.compile(f"^{re.escape(label)}$")).nth(nth)

    def card(self, nth=0):
        return self.page.locator(".hitl-nb-card:not(.hitl-nb-activity)").nth(nth)

    def receipts(self):
        return self.page.locator(".hitl-nb-receipt")

    def answers(self, name="answers.jsonl"):
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def kernel_pid(self, name="pid"):
        return int((self.folder / name).read_text())

    def settle(self):
        """Wait until the kernel that was killed is back: the server starts it again by itself."""
        dialog = self.page.locator(".jp-Dialog button", has_text="Ok")
        self.page.wait_for_function(f"() => document.querySelector('.jp-Dialog') || {self.FIND}.sessionContext.session?.kernel?.status === 'idle'")
        if dialog.count():
            dialog.click()
        self.ready()

    def shot(self, path, index=0):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.page.locator(".jp-Notebook .jp-Cell").nth(index).screenshot(path=str(path))
