"""Run every part; each prints its counts as lines of JSON: `make torture`, or python -m tests.torture --short."""

from __future__ import annotations

import argparse
import subprocess
import sys

PARTS: tuple[tuple[str, list[str], list[str]], ...] = (  # module, arguments, arguments of --short
    (
        "tests.torture.kill",
        ["--trains", "200", "--batches", "500"],
        ["--trains", "3", "--batches", "20", "--step", "5"],
    ),
    ("tests.torture.flip", [], ["--max-bytes", "200"]),
    ("tests.torture.faults", [], ["--step", "25"]),
    ("tests.torture.tamper", [], ["--count", "100"]),
    ("tests.torture.environments", [], []),
    ("tests.torture.fuzz_hypothesis", ["60000"], ["3000"]),
    ("tests.torture.fuzz_atheris", ["60000"], ["3000"]),
    ("tests.torture.week", [], ["--hours", "60"]),
)


def main() -> None:
    """Run each part in a process of its own; exit with 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="minutes instead of hours")
    short = parser.parse_args().short
    codes = [
        subprocess.run([sys.executable, "-m", module, *(few if short else many)], check=False).returncode
        for module, many, few in PARTS
    ]
    sys.exit(1 if any(codes) else 0)


if __name__ == "__main__":
    main()
