#!/usr/bin/env python3
"""Rewrite the session that README.md shows, so that it is what the program prints: `make session`.

    python benchmarks/readme_session.py [--output OUTPUT.txt ...] [--check]

The commands of the first console block after `<!-- session -->` run in a new folder with the sample data. The block keeps
its cuts: a line `…` stands for the lines that are left out. What is shown before a cut is as many lines as now; what is shown
after a cut begins where the first word is the same, or ends with the output if it is the end of the block. `--output`
takes the output of a command from a file instead of running it. `--check` writes nothing and exits 1 if the block would change.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(?<=<!-- session -->\n```console\n).*?(?=```)", re.DOTALL)
CUT = "…"


def shorten(shown: list[str], printed: list[str]) -> list[str]:
    """The lines of an output that a block shows, `…` for those that are left out. ValueError if a part is not found."""
    cuts = [-1, *(i for i, line in enumerate(shown) if line == CUT), len(shown)]
    runs = [shown[before + 1 : after] for before, after in pairwise(cuts)]
    lines, start = list(printed[: len(runs[0])]), len(runs[0])
    for i, run in enumerate(runs[1:], 1):
        lines.append(CUT)
        if i == len(runs) - 1:
            lines += printed[max(len(printed) - len(run), start) :] if run else []
            break
        first = run[0].split()[0]
        start = next((at for at in range(start, len(printed)) if printed[at].split()[:1] == [first]), -1)
        if start < 0:
            raise ValueError(f"no line of the output begins with '{first}'")
        lines += printed[start : start + len(run)]
        start += len(run)
    return lines


def output(command: str, folder: Path) -> str:
    """What a command of the program prints, both streams in order. SystemExit if it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FORECASTER_")}
    environment |= {"COLUMNS": "130", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise SystemExit(f"{command}: exit {done.returncode}\n{done.stdout[-2000:]}")
    return done.stdout


def session(block: str, outputs: list[Path]) -> str:
    """The block with the output of its commands as it is now."""
    _, *commands = re.split(r"^\$ ", block, flags=re.MULTILINE)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "data", Path(folder) / "data")
        for i, text in enumerate(commands):
            command, *shown = text.splitlines()
            printed = outputs[i].read_text(encoding="utf-8") if i < len(outputs) else output(command, Path(folder))
            lines += [f"$ {command}", *shorten(shown, [line.rstrip() for line in printed.splitlines()])]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the commands and rewrite the block."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, nargs="*", default=[])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    found = BLOCK.search(text)
    if not found:
        raise SystemExit("README.md: no console block after <!-- session -->")
    new = session(found[0], arguments.output)
    if arguments.check:
        raise SystemExit(int(new != found[0]))
    readme.write_text(BLOCK.sub(lambda _: new, text), encoding="utf-8")


if __name__ == "__main__":
    main()
