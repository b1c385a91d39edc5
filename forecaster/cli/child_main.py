"""`python -m forecaster.cli.child_main` is the `forecaster` command as a child process that ends with its parent.

The parent holds the writing end of this process's standard input. A kill leaves the parent no time to signal, but it closes
the pipe.
"""

from __future__ import annotations

import os
import signal
import threading


def end_with_parent() -> None:
    """Kill this process once its standard input is closed. A version that it was writing is then not published."""

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
