"""Ends workers of Ray while they work."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def killing(count: int) -> Iterator[list[int]]:
    """Kill so many of the workers while they forecast, and list them."""
    import psutil

    killed: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        while not ended.is_set() and len(killed) < count:
            for process in psutil.process_iter(["cmdline"]):
                if "".join(process.info["cmdline"] or []).startswith("ray::forecaster") and len(killed) < count:
                    process.send_signal(signal.SIGKILL)
                    killed.append(process.pid)
            time.sleep(0.01)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()
