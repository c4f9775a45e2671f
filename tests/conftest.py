"""Marks by folder, and the order of the tests: those in a browser come last."""

from pathlib import Path

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        folder = item.path.relative_to(HERE).parts[0]
        if folder in ("browser", "crash", "kernel"):
            item.add_marker(folder)
    # Playwright's synchronous interface keeps an event loop running in the main thread until the browser is closed,
    # and asyncio.run() refuses to work there.
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
