"""A hundred cases of a notebook, killed half-way twice, answered by a person in two ways, and run to the end. Run it by hand; it prints its figures.

    python tests/batch/hundred_cases.py [CASES]

The test-suite does the same at a smaller size (test_batch_stopped.py, and test_batch_inbox.py with the browser tests), where a batch is killed at
chosen moments. Here it is killed wherever it is. An effect that is cut off between happening and being recorded would be told as one that happened
twice.
"""

import importlib.util
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from nights import Night, answer_in_the_inbox, descendants, kill, open_inbox, until

from hitl_nb.checkpoint.verifying import verify
from hitl_nb.decisions.record import open_store

ANSWERS = """\
answers:
- {thread: large-*, answer: reject, by: bo}
- {when: {amount: 5}, answer: approve, by: ann}
- {thread: small-?*, answer: approve, by: ann}
"""
ONE_BY_ONE = ["Reject", "Approve", "Reject"]


def main(count):
    began = time.monotonic()
    browser = browser_tests()
    folder = Path(tempfile.mkdtemp(prefix="hundred-cases-"))
    server = browser.Server(folder, "jupyterlab")
    (server.root / "work").mkdir()
    night = Night(server.root / "work", rows(count), ANSWERS)
    kinds = Counter(name.partition("-")[0] for name, _, _ in rows(count))
    print(f"{count} cases: {kinds['small'] + kinds['even']} approved and {kinds['large']} rejected by the answers file, {kinds['open']} left open")

    for share in (0.33, 0.66):
        kill_at(night, int(share * count), random.uniform(0, 1.5))
    begun = time.monotonic()
    code, told, err = night.run()
    print(f"run 3: {time.monotonic() - begun:.0f} s, exit code {code}, {told['counts']}, {ran(told)} run, the others were done")
    assert code == 75, err
    assert told["open_questions"] == kinds["open"]

    begun = time.monotonic()
    waiting = [case["thread_id"] for case in told["cases"] if case["questions"]]
    by_hand = waiting[: len(waiting) // 2]
    for number, thread_id in enumerate(by_hand):
        night.answer(thread_id, "reject" if number % 2 else "approve")
    print(f"command line: {len(by_hand)} answered in {time.monotonic() - begun:.0f} s")
    begun = time.monotonic()
    left = len(waiting) - len(by_hand)
    in_the_page(browser, server, ONE_BY_ONE[: max(0, left - 2)])
    print(f"inbox in Chromium: {left} answered in {time.monotonic() - begun:.0f} s, with the start of JupyterLab")

    begun = time.monotonic()
    code, told, err = night.run()
    print(f"run 4: {time.monotonic() - begun:.0f} s, exit code {code}, {told['counts']}, {ran(told)} run")
    assert (code, told["counts"]) == (0, {"done": count}), err
    begun = time.monotonic()
    code, told, _ = night.run()
    print(f"run 5, nothing to do: {time.monotonic() - begun:.1f} s, exit code {code}")
    look(night, told, count)
    print(f"whole: {time.monotonic() - began:.0f} s, in {folder}")


def ran(told):
    return sum(case["ran"] for case in told["cases"])


def rows(count):
    kinds = ("small", "even", "large", "small", "open")
    amounts = {"small": 20, "even": 5, "large": 900, "open": 70}
    return [(f"{kinds[n % 5]}-{n:03}", amounts[kinds[n % 5]] + (n if kinds[n % 5] != "even" else 0), "") for n in range(count)]


def kill_at(night, done, later_s):
    begun = time.monotonic()
    batch = night.start()
    until(lambda: batch.poll() is not None or sum(_ended(night).values()) >= done, patience_s=1200)
    assert batch.poll() is None, batch.communicate()[1]
    time.sleep(later_s)
    at, family = time.monotonic() - begun, len(descendants(batch.pid))
    gone_s = kill(batch)
    print(f"SIGKILL after {at:.0f} s with {_ended(night)}; its {family} processes were gone {gone_s:.2f} s later")


def _ended(night):
    """Statuses of the notebooks, as they lie there."""
    found = Counter()
    for path in (night.out / "cases").glob("*.ipynb"):
        found[json.loads(path.read_text(encoding="utf-8"))["metadata"].get("hitl_nb", {}).get("status")] += 1
    return {status: found[status] for status in ("done", "needs human") if found[status]}


def browser_tests():
    """The server and the notebook of the browser tests, which are not importable by a name of their own."""
    path = Path(__file__).parents[1] / "browser" / "conftest.py"
    spec = importlib.util.spec_from_file_location("browser_tests", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_the_page(browser, server, one_by_one):
    from playwright.sync_api import sync_playwright

    with server, sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=browser.CHROMIUM, args=browser.ARGUMENTS)
        page = launched.new_page(viewport={"width": 1400, "height": 1400})
        page.set_default_timeout(60_000)
        page.goto(f"{server.url}/lab?token={server.token}&reset")
        browser.loaded(page)
        answer_in_the_inbox(open_inbox(server, page, "work"), one_by_one, "Approve")
        page.screenshot(path=str(server.base / "inbox.png"))
        launched.close()


def look(night, told, count):
    """Every case ended once, no effect happened twice, the log is whole, the report says what is so."""
    effects = night.happened()
    twice = {line: number for line, number in effects.items() if number > 1}
    decided = {case["thread_id"]: case["decisions"] for case in told["cases"]}
    expected = Counter(f"{name} reserve" for name in decided)
    expected.update(f"{name} {'pay' if made[0]['answer'] == 'approve' else 'release'}" for name, made in decided.items())
    print(f"effects: {sum(effects.values())} happened, {len(twice)} of them twice {twice or ''}")
    found = verify(open_store(night.store))
    print(f"audit: {found.count} entries, {'whole' if found.ok else found.problems}")
    how = Counter(made[0]["how"] for made in decided.values())
    page = (night.out / "report.html").read_text(encoding="utf-8")
    links = page.count('.ipynb">Notebook</a>')
    print(f"report: {len(page) / 1024:.0f} KiB, {links} cases with their notebooks; decided {dict(how)}")
    assert all(len(made) == 1 for made in decided.values())
    assert effects == expected
    assert (found.ok, found.count) == (True, count)
    assert links == count
    assert f'<b>{count}</b> <span><span aria-hidden="true">✓</span> Done</span>' in page


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
