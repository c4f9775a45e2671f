"""The command as people start it: on a real terminal, through `jupyter hitl`, in a shell that completes; its help and its errors."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hitl_nb import Command, DiskCacheSaver, StateGraph, interrupt
from hitl_nb.cli import main
from hitl_nb.cli.group import SECTIONS

SCRIPTS = Path(sys.executable).parent
COMMANDS = sorted(main.commands)
ALL = [[name, inner] if inner else [name] for name in COMMANDS for inner in getattr(main.commands[name], "commands", [None])]
posix = pytest.mark.skipif(os.name == "nt", reason="no pseudo-terminals")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Two open questions, on threads film-1 and film-2; a thread with a name for a shell to choke on; a thread that has ended."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HITL_NB_STORE", raising=False)
    saver = DiskCacheSaver(tmp_path / "reviews")
    graph = (
        StateGraph().add_node("ask", lambda s: {"x": interrupt({"question": "Publish?", "options": ["approve", "reject"]})}).set_entry_point("ask")
    )
    compiled = graph.compile(saver)
    for name in ("film-1", "film-2", "$(touch hit)", "done"):
        compiled.invoke({}, {"configurable": {"thread_id": name}})
    for name in ("done", "$(touch hit)"):
        compiled.invoke(Command(resume="approve"), {"configurable": {"thread_id": name}})
    yield saver
    saver.close()


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}", **more}


def started(*command: Any, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8", env=environment(**more), timeout=120)


def on_terminal(*arguments: str, typed: list[tuple[str, str]]) -> tuple[int, str]:
    """Runs the command on a pseudo-terminal; each text is typed once what comes before it is there. The exit code and all that was shown.

    A Ctrl-C right between the prompt and its reading is not noticed by Python's readline; like a person, this presses it again.
    """
    import pty
    import select

    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-m", "hitl_nb.cli", *arguments], environment(TERM="dumb"))
    shown, waiting, until = "", list(typed), time.monotonic() + 60
    keys, again_at = "", 0.0
    while time.monotonic() < until:
        if waiting and re.search(waiting[0][0], shown.rpartition("\0")[2]):
            shown += "\0"  # what is waited for next comes behind
            keys, again_at = waiting.pop(0)[1], time.monotonic() + 3
            os.write(terminal, keys.encode())
        if keys == "\x03" and time.monotonic() > again_at and shown.rpartition("\0")[2] in ("", "^C"):
            again_at = until
            os.write(terminal, keys.encode())
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                shown += os.read(terminal, 65536).decode()
            except OSError:  # Linux: the other end is closed
                break
    else:
        os.kill(pid, 9)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.replace("\0", "")


@posix
def test_the_open_questions_are_answered_on_a_real_terminal(store):
    code, shown = on_terminal(
        "answer",
        "--interactive",
        "--reviewer",
        "dana",
        typed=[(r"1 of 2[\s\S]*choice \(1-2\): ", "approve\n"), (r"2 of 2[\s\S]*choice \(1-2\): ", "\x03")],
    )
    assert code == 75, shown
    assert "1 question answered here, 1 still open." in shown
    assert "Traceback" not in shown
    assert [d.reviewer for name in ("film-1", "film-2") for d in store.decisions(name)] == ["dana"]


@posix
@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_terminal_of_another_encoding_ends_no_command(store, encoding):
    graph = StateGraph().add_node("ask", lambda s: {"x": interrupt({"question": "Ω\x1b[2J?", "type": "text"})}).set_entry_point("ask")
    graph.compile(store).invoke({}, {"configurable": {"thread_id": "odd"}})
    [odd] = [q.interrupt_id for q in store.open_questions() if q.thread_id == "odd"]
    for arguments in (["pending"], ["show", odd], ["answer", odd, "Ω"], ["audit", "--csv"], ["check", "--schema"], ["tape", "odd"]):
        command = [sys.executable, "-m", "hitl_nb.cli", *arguments]
        done = subprocess.run(command, check=False, capture_output=True, env=environment(PYTHONIOENCODING=encoding), timeout=60)
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
        assert b"\x1b" not in done.stdout
    assert "answer: Ω" in done.stdout.decode("utf-8")  # an answers file is UTF-8 wherever it is written


@posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_where_nothing_can_be_printed_an_answer_is_recorded_all_the_same_and_no_command_ends_with_a_traceback(store):
    [first, *_] = store.open_questions()
    for arguments, code, said in (
        (["answer", first.interrupt_id, "approve"], 0, "The answer is recorded, but that cannot be printed: [Errno 28]"),
        (["pending"], 1, "Error: [Errno 28]"),
    ):
        command = [sys.executable, "-m", "hitl_nb.cli", *arguments]
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(command, check=False, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        assert done.returncode == code, done.stderr
        assert done.stderr.startswith(said)
    assert [d.answer for d in store.decisions(first.thread_id)] == ["approve"]


@posix
def test_ctrl_c_leaves_a_single_question_open_as_the_end_of_input_does(store):
    [first, *_] = store.open_questions()
    code, shown = on_terminal("answer", first.interrupt_id, typed=[(r"choice \(1-2\): ", "\x03")])
    assert (code, "Left open." in shown) == (75, True), shown


@posix
def test_answer_with_an_id_alone_asks_on_the_terminal(store):
    [first, second] = store.open_questions()
    code, shown = on_terminal("answer", first.interrupt_id[:8], typed=[(r"choice \(1-2\): ", "2\n")])
    assert (code, [d.answer for d in store.decisions(first.thread_id)]) == (0, ["reject"]), shown
    assert "Recorded: Publish?" in shown
    code, shown = on_terminal("answer", second.interrupt_id[:8], typed=[(r"choice \(1-2\): ", "\x04")])
    assert code == 75, shown
    assert "Left open." in shown


def test_jupyter_hitl_is_the_same_command_and_calls_itself_so(store):
    done = started(SCRIPTS / "jupyter", "hitl", "pending")
    assert done.returncode == 0, done.stderr
    assert "2 open questions" in done.stdout
    assert re.search(r"how to answer it: jupyter hitl show [0-9a-f]{8}\n", done.stderr)
    failed = started(SCRIPTS / "jupyter", "hitl", "pendin")
    assert failed.returncode == 2
    assert failed.stderr.startswith("Usage: jupyter hitl [OPTIONS]")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_commands_threads_and_questions_and_says_nothing_else(store):
    ids = sorted(q.interrupt_id for q in store.open_questions())
    script = """
        eval "$(hitl-nb completion bash)"
        try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _hitl_nb_completion hitl-nb; echo "${COMPREPLY[*]}"; }
        try hitl-nb pen
        try hitl-nb history ""
        try hitl-nb show ""
        try hitl-nb pending --store nothere --thread f
    """
    done = started("bash", "-c", script)
    assert done.stderr == ""
    assert [line.split() for line in done.stdout.splitlines()] == [["pending"], ["done", "film-1", "film-2"], ids, []]
    assert not Path("nothere").exists()
    assert not Path("hit").exists()


def test_completion_loads_nothing_heavy_and_never_tells_an_error(store):
    code = (
        "import sys, hitl_nb.cli\n"
        "try: hitl_nb.cli.main(prog_name='hitl-nb')\n"
        "except SystemExit: print(*{'diskcache', 'jsonschema', 'numpy', 'pandas', 'papermill', 'pydantic', 'tqdm', 'yaml'} & set(sys.modules))"
    )

    def complete(words: str) -> Any:
        asked = {"_HITL_NB_COMPLETE": "zsh_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        return started(sys.executable, "-c", code, **asked)

    done = complete("hitl-nb history film")
    assert (done.stdout, done.stderr) == ("plain\nfilm-1\n_\nplain\nfilm-2\n_\n\n", "")
    Path("bad").mkdir()
    Path("bad/cache.db").write_bytes(b"no database" * 1000)
    done = complete("hitl-nb history --store bad film")
    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell):
    script = CliRunner().invoke(main, ["completion", shell]).stdout
    assert "_HITL_NB_COMPLETE" in script
    assert "hitl-nb" in script


# -- help and errors -----------------------------------------------------------------------------------------------------------------------


def test_the_command_alone_is_an_overview_of_every_command_by_what_it_is_for():
    result = CliRunner().invoke(main, [], prog_name="hitl-nb")
    assert result.exit_code == 0
    assert re.findall(r"^(\S.*):$", result.stdout, re.MULTILINE) == ["Options", *(title for title, _ in SECTIONS)]
    assert sorted(re.findall(r"^  ([a-z]+)  ", result.stdout, re.MULTILINE)) == COMMANDS
    assert "75 a question is open" in " ".join(result.stdout.split())


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_every_command_has_help_that_ends_with_its_exit_codes_and_json_but_where_it_makes_no_sense(command):
    shown = CliRunner().invoke(main, [*command, "--help"], prog_name="hitl-nb").stdout
    assert " ".join(shown.split()).rpartition("Exit codes: ")[2].startswith(("0 ", "those of JupyterLab"))
    assert shown.count("Exit codes:") == 1
    assert ("--json" in shown) == (command[0] not in ("lab", "completion"))


@pytest.mark.parametrize(("typed", "meant"), [("pendign", "pending"), ("anwser", "answer"), ("histroy", "history")])
def test_a_command_that_is_none_names_the_nearest(typed, meant):
    result = CliRunner().invoke(main, [typed, "--json"], prog_name="hitl-nb")
    assert result.exit_code == 2
    assert re.search(rf"Did you mean (one of: )?'{meant}'", result.stderr)
    assert meant in json.loads(result.stdout)["error"]["message"]


def test_an_error_under_json_is_json_on_stdout_and_its_text_on_stderr_with_the_same_exit_code(store):
    for arguments, code, kind in (
        (["audit", "--csv"], 2, "UsageError"),
        (["history", "nope"], 1, "UnknownThreadError"),
        (["tape", "nope"], 1, "UnknownThreadError"),
        (["pending", "--sort", "name"], 2, "BadParameter"),
        (["show", "--nonsense"], 2, "NoSuchOption"),
        (["check", "reviews/cache.db"], 1, "AnswersFileError"),
    ):
        result = CliRunner().invoke(main, [*arguments, "--json"])
        error = json.loads(result.stdout)["error"]
        assert (result.exit_code, error["type"], error["exit_code"]) == (code, kind, code), result.output
        assert error["message"] in result.stderr


def test_json_is_the_same_in_a_terminal_of_another_encoding(store):
    done = started(sys.executable, "-m", "hitl_nb.cli", "history", "ü", "--json", PYTHONIOENCODING="ascii")
    assert done.returncode == 1
    assert "thread 'ü'" in json.loads(done.stdout)["error"]["message"]
