"""`python -m forecaster.cli.child_process` is the `forecaster` command as a part of another process: it ends when that one does.

The other process holds the writing end of this one's standard input. A kill leaves it no time to say anything, but closes it.
"""

from __future__ import annotations

import os
import signal
import threading


def end_with_parent() -> None:
    """End this process as a kill would once its standard input is closed: what it was writing stays unpublished."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Run the command."""
    from forecaster.cli.main import main as command

    end_with_parent()
    command()


if __name__ == "__main__":
    main()
