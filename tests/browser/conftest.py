"""A real JupyterLab and a real Chromium for the tests of the notebook front end. One server and one browser for all of them."""

import ctypes
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
from functools import partial
from http.client import HTTPException
from pathlib import Path

import nbformat
import pytest

HERE = Path(__file__).parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
PR_SET_PDEATHSIG = 1
PATIENCE_S = 60  # what a slow machine with much else to do may need; no test waits so long when all is well
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


@pytest.fixture(scope="package")
def serve(tmp_path_factory):
    """Starts a server, `with serve("notebook") as server`; `HITL_NB_REQUIRE_BROWSER=1` makes its absence a failure instead of a skip."""
    why = missing()
    if why and os.environ.get("HITL_NB_REQUIRE_BROWSER") == "1":
        pytest.fail(f"the browser tests are required here, but {why}")
    if why:
        pytest.skip(why)
    return lambda application: Server(tmp_path_factory.mktemp(application), application)


@pytest.fixture(scope="package")
def server(serve):
    """A JupyterLab with empty settings of its own."""
    with serve("jupyterlab") as running:
        yield running


@pytest.fixture(scope="package")
def browser(server):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def page(browser, load_lab):
    """One JupyterLab in one page: loading it takes longer than most of the tests."""
    opened = browser.new_context().new_page()
    opened.set_default_timeout(PATIENCE_S * 1000)
    load_lab(opened)
    return opened


@pytest.fixture(scope="package")
def load_lab(server):
    """Loads JupyterLab into a page, and returns what opens a notebook there."""

    def load(page):
        page.goto(f"{server.url}/lab?token={server.token}&reset")
        loaded(page)
        return partial(open_notebook, server, page)

    return load


def loaded(page):
    """Wait until JupyterLab opens nothing more by itself. After it has restored its layout it still opens the notebook in the page's address.
    A page of Notebook 7 is one notebook, without a list of files."""
    opening = "document.querySelector('.jp-FileBrowser.jp-mod-restoring')"
    listed = f"(location.pathname.startsWith('/notebooks/') || document.querySelector('.jp-FileBrowser')) && !{opening}"
    # Noted down and looked at again and again: a promise counts as true here, whatever it is of, and one whose workspace is in use goes to another.
    restored = "const app = window.jupyterapp; if (app && !app.isNoted) { app.isNoted = true; app.restored.then(() => { app.isBack = true; }); }"
    page.wait_for_function(f"() => {{ {restored} return app?.isBack && {listed}; }}", timeout=PATIENCE_S * 1000)


@pytest.fixture
def lab(server, page):
    """Opens a notebook with the given cells: `lab([...cells...], theme="dark")`."""
    yield partial(open_notebook, server, page)
    server.stop_kernels()


def open_notebook(server, page, cells, *, width=1400, height=1000, theme="light", kernel="python3"):
    name = f"{secrets.token_hex(4)}/work.ipynb"
    server.write(name, cells, kernel)
    page.set_viewport_size({"width": width, "height": height})
    while page.locator(".jp-Dialog").count():  # an earlier test that failed may have left it open
        dialog = page.locator(".jp-Dialog").first.element_handle()
        page.keyboard.press("Escape")
        dialog.wait_for_element_state("hidden")
    page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", f"JupyterLab {theme.title()}")
    page.wait_for_selector(f'body[data-jp-theme-light="{str(theme == "light").lower()}"]', state="attached")
    page.evaluate("(path) => window.jupyterapp.commands.execute('docmanager:open', { path }).then(() => {})", name)
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    notebook = server.notebook(page, name)
    notebook.ready()
    return notebook


def end_with_the_tests():
    """In a process that is being started: it is told to end when the tests are killed, so that no server stays behind (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Server:
    """JupyterLab or Notebook (`application`: the module that is run), with nothing of this machine's settings."""

    def __init__(self, base, application):
        self.base, self.root, self.application = base, base / "root", application
        self.root.mkdir()
        for module in ("stage.py", "xss.py", "hostile.py", "inbox_stage.py"):
            shutil.copy(HERE / module, base / module)
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
        self.token = secrets.token_hex(12)
        self.log = (b / "server.log").open("wb")
        for _ in range(5):  # a port that is free now may be taken when the server wants it
            if self.starts(env):
                return self
        raise RuntimeError((b / "server.log").read_text()[-3000:])

    def starts(self, env):
        """Start the server on a free port; False when it ended at once."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [
            sys.executable,
            "-m",
            self.application,
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
            # else a kernel that is killed in its first seconds comes back on other ports, and the page goes on listening to the old ones
            "--KernelRestarter.random_ports_until_alive=False",
        ]
        self.process = subprocess.Popen(
            command,
            env=env,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            cwd=self.root,
            start_new_session=True,
            preexec_fn=end_with_the_tests,  # noqa: PLW1509 - one call
        )
        end = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            try:
                self.api("/api/status")
                return True
            except (OSError, HTTPException):  # it does not listen yet, or somebody else does on its port
                if time.monotonic() > end:
                    self.process.kill()
                    raise RuntimeError((self.base / "server.log").read_text()[-3000:]) from None
                time.sleep(0.2)
        return False

    def __exit__(self, *_):
        try:
            self.stop_kernels()
        finally:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
            self.log.close()

    def api(self, path, method="GET"):
        request = urllib.request.Request(self.url + path, method=method, headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            data = response.read()
        return json.loads(data) if data else None

    def stop_kernels(self):
        """Until none is left: a kernel that is just being started again refuses to be stopped."""
        end = time.monotonic() + 120
        while sessions := self.api("/api/sessions"):
            if time.monotonic() > end:
                raise RuntimeError(f"kernels that cannot be stopped: {sessions}")
            for session in sessions:
                try:
                    self.api(f"/api/sessions/{session['id']}", "DELETE")
                except OSError:  # refused, or no reply in time
                    time.sleep(0.2)

    def notebook(self, page, path):
        """The notebook that is open in the page."""
        return Notebook(self, page, path)

    def write(self, name, cells, kernel="python3"):
        """A notebook of these cells: sources, or whole cells."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) if isinstance(c, str) else c for c in cells])
        notebook.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)


class Notebook:
    """A notebook in JupyterLab, driven through the page.

    Whatever tab is in front, `W` in a script is the tab of this notebook, and a command is applied to it.
    """

    # Notes down which cells the kernel was asked to execute, what it replied, and whether it went away in between.
    WATCH = """
        const session = W.sessionContext.session;
        if (W.watched?.session === session) return;
        const watched = W.watched = { session, kernel: session.kernel.id, asked: {}, lost: [] };
        session.anyMessage.connect((_, { msg, direction }) => {
            if (direction === 'send' && msg.header.msg_type === 'execute_request') watched.asked[msg.metadata.cellId] = { id: msg.header.msg_id };
            const asked = direction === 'recv' && Object.values(watched.asked).find(a => a.id === msg.parent_header.msg_id);
            if (asked && msg.header.msg_type === 'execute_input') asked.begun = true;
            if (asked && msg.header.msg_type === 'execute_reply') asked.reply = msg.content;
        });
        session.statusChanged.connect((_, status) => {
            if (["restarting", "autorestarting", "terminating", "dead"].includes(status)) watched.lost.push(status);
        });
    """

    def __init__(self, server, page, path):
        self.server, self.page, self.path = server, page, path
        self.folder = (server.root / path).parent
        self.find = f"[...(window.jupyterapp?.shell.widgets('main') ?? [])].find(w => w.context?.path === {json.dumps(path)})"

    def ready(self):
        """Wait until this notebook is the only thing open, and its kernel is the one the server runs for it and has nothing to do."""
        self.wait("W?.context.isReady")
        self.js("for (const w of [...window.jupyterapp.shell.widgets('main')]) if (w !== W) w.dispose();")
        self.wait("window.jupyterapp.shell.currentWidget === W && [...window.jupyterapp.shell.widgets('main')].length === 1")
        self.wait("(k => k?.status === 'idle' && k.connectionStatus === 'connected')(W.sessionContext.session?.kernel)")
        # The page may be idle before it has made its cells, one after the other.
        self.wait("W.content.widgets.length > 0 && W.content.widgets.length === W.content.model?.cells.length")
        self.js(self.WATCH)
        kernel = self.js("return W.watched.kernel")
        assert [s["kernel"]["id"] for s in self.server.api("/api/sessions") if s["path"] == self.path] == [kernel], self.state()

    def js(self, body, argument=None):
        return self.page.evaluate(f"(arg) => {{ const W = {self.find}; {body} }}", argument)

    def wait(self, condition, seconds=PATIENCE_S, argument=None):
        from playwright.sync_api import TimeoutError as TookTooLong

        try:
            self.page.wait_for_function(f"(arg) => {{ const W = {self.find}; return {condition}; }}", arg=argument, timeout=seconds * 1000)
        except TookTooLong:
            raise AssertionError(f"not within {seconds} s: {condition} with {argument}\n{self.state()}") from None

    def state(self):
        """What the page and the server know about this notebook, for the message of a failure."""
        page = self.js(
            """const name = w => w?.context?.path ?? w?.id, kernel = W?.sessionContext?.session?.kernel, watched = W?.watched;
            return {
                address: location.pathname, front: name(window.jupyterapp?.shell.currentWidget),
                tabs: [...(window.jupyterapp?.shell.widgets('main') ?? [])].map(name), dialog: document.querySelector('.jp-Dialog')?.innerText,
                keyboard: document.activeElement?.outerHTML.slice(0, 200),
                kernel: [kernel?.id, kernel?.status, kernel?.connectionStatus], watched: [watched?.kernel, ...(watched?.lost ?? [])],
                cells: W?.content?.widgets.map(({ model: m }) => {
                    const asked = watched?.asked[m.id], reply = asked?.reply;
                    return [m.executionState, m.executionCount, reply ? [reply.status, reply.execution_count] : asked ? 'no reply' : 'not asked'];
                }),
            }"""
        )
        sessions = [[s["path"], s["kernel"]["id"], s["kernel"]["execution_state"]] for s in self.server.api("/api/sessions")]
        return f"{self.path}: the page has {json.dumps(page)}, the server has {json.dumps(sessions)}"

    def command(self, name):
        self.js("void window.jupyterapp.commands.execute(arg, { semanticWidget: W.id });", name)

    def run_all(self):
        self.js("W.watched.asked = {};")
        self.command("notebook:run-all-cells")

    def start(self, index):
        """Run a cell without waiting for it."""
        # In one go: a card that takes the keyboard in between would make its own cell the active one.
        self.js(
            """W.content.activeCellIndex = arg; W.content.deselectAll(); delete W.watched.asked[W.content.widgets[arg].model.id];
            void window.jupyterapp.commands.execute('notebook:run-cell', { semanticWidget: W.id });""",
            index,
        )

    def run(self, index):
        self.start(index)
        self.done(index)

    def done(self, index, seconds=PATIENCE_S):
        """Wait until this notebook's kernel has executed the cell: it replied, and the page shows the number of the reply."""
        cell = "const m = W.content.widgets[arg].model, reply = W.watched.asked[m.id]?.reply;"
        shown = "m.executionState === 'idle' && m.executionCount === reply.execution_count"
        self.wait(f"(() => {{ {cell} return W.watched.lost.length > 0 || (reply && (reply.status !== 'ok' || {shown})); }})()", seconds, index)
        reply, errors, same = self.js(
            f"""{cell} const same = !W.watched.lost.length && W.sessionContext.session?.kernel?.id === W.watched.kernel;
            return [reply, m.outputs.toJSON().filter(o => o.output_type === 'error'), same];""",
            index,
        )
        assert not errors, f"{errors[0]['ename']}: {errors[0]['evalue']}"
        executed = same and reply and reply["status"] == "ok" and isinstance(reply["execution_count"], int)
        assert executed, f"cell {index} was not executed, the reply is {reply}\n{self.state()}"

    def executing(self, index):
        """Wait until the kernel is in the middle of the cell: it has begun, and has not replied."""
        self.wait("(a => a?.begun && !a.reply)(W.watched.asked[W.content.widgets[arg].model.id])", argument=index)

    def cells(self):
        return self.js("return W.content.widgets.map(w => [w.model.type, w.model.sharedModel.getSource()]);")

    def cell(self, index):
        return self.page.locator(f'[id="{self.js("return W.id;")}"] .jp-Notebook .jp-Cell').nth(index)

    def output(self, index):
        return self.cell(index).locator(".jp-Cell-outputArea")

    def reload(self):
        self.page.reload()
        loaded(self.page)
        self.ready()

    def saved(self):
        """Save, and read what is in the file."""
        self.js("if (window.jupyterapp.shell.currentWidget !== W) throw new Error('another tab is in front');")
        self.js("return window.jupyterapp.commands.execute('docmanager:save').then(() => {});")
        return nbformat.read(self.server.root / self.path, 4)

    def button(self, label, nth=0):
        return self.page.locator(".hitl-nb-card button", has_text=re.compile(f"^{re.escape(label)}$")).nth(nth)

    def card(self, nth=0):
        return self.page.locator(".hitl-nb-card:not(.hitl-nb-activity)").nth(nth)

    def receipts(self):
        return self.page.locator(".hitl-nb-receipt")

    def drawn(self):
        """Wait until the kernel has worked off what it was asked, and the page has drawn it: after an answer all of it is drawn anew."""
        self.js(
            """const frame = () => new Promise(requestAnimationFrame);
            return W.sessionContext.session.kernel.requestKernelInfo().then(frame).then(frame).then(() => new Promise(done => setTimeout(done)));"""
        )

    def unfold(self, receipt):
        """Open a receipt that stays: one that is drawn anew is closed."""
        self.drawn()
        receipt.locator("summary").click()

    def answers(self, name="answers.jsonl"):
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def kill_kernel(self, name="pid"):
        """Kill the kernel whose process id a cell wrote into the file."""
        os.kill(int((self.folder / name).read_text()), signal.SIGKILL)

    def settle(self):
        """Wait until the kernel that was killed is back: the server starts it again by itself, and the page says so in a dialog."""
        dialog = self.page.locator(".jp-Dialog").filter(has_text="Kernel Restarting")
        dialog.get_by_role("button", name="Ok").click()
        dialog.wait_for(state="detached")
        self.wait("W.watched.lost.includes('autorestarting')")
        self.answers_again()

    def restart(self):
        self.js("return W.sessionContext.session.kernel.restart().then(() => {});")
        self.answers_again()

    def answers_again(self):
        """Wait until the kernel that was started again answers."""
        # It may look idle before the new process is there, for what the old one sent last is delivered late; so it is asked. What is asked while the
        # connection is being restored may be lost, so it is asked again, and the page connects anew.
        end, asked = time.monotonic() + 2 * PATIENCE_S, 0
        while not self.js(
            "return Promise.race([W.sessionContext.session.kernel.requestKernelInfo().then(() => true, () => new Promise(() => {})),"
            " new Promise(tell => setTimeout(() => tell(false), 2000))]);"
        ):
            assert time.monotonic() < end, f"the kernel that was started again says nothing\n{self.state()}"
            asked += 1
            if asked % 4 == 0:
                self.js("W.sessionContext.session.kernel.reconnect().catch(() => {});")
        self.ready()
        self.js("W.watched.lost.length = 0;")

    def shot(self, path, index=0):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.cell(index).screenshot(path=str(path))
