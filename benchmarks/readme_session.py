"""The sessions, the picture and the table of accuracy that README.md shows, renewed.

The commands of every console block after `<!-- session -->` run in one new folder with the sample data, in their order. A block
keeps its cuts: a line `…` stands for the lines that are left out. What is shown before a cut is as many lines as now; what is
shown after a cut begins where the first word is the same, or ends with the output if it is the end of the block. The picture
is what the first command draws. The table comes from benchmarks/RESULTS.md; `--table` renews it alone, and runs nothing.
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
import time
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(?<=<!-- session -->\n```console\n).*?(?=```)", re.DOTALL)
TABLE = re.compile(r"(?<=<!-- accuracy -->\n).*?(?=<!-- /accuracy -->)", re.DOTALL)
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
    """What a command of the program prints: stderr, then stdout, of a forecast as a terminal shows it. SystemExit if it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FORECASTER_")}
    environment |= {"COLUMNS": "130", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    name, *words = shlex.split(command)
    program = [sys.executable, "-m", name, *words]
    began = time.monotonic()
    if words[0] == "predict":
        program = [sys.executable, "-c", AS_ON_A_TERMINAL, *words]
    done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command}: exit {done.returncode}\n{done.stderr[-2000:]}")
    print(f"{command}: {time.monotonic() - began:.1f} s")
    return done.stderr + done.stdout


AS_ON_A_TERMINAL = """
import sys
from forecaster.cli.main import run
sys.stdout.isatty = lambda: True
sys.exit(run(sys.argv[1:]))
"""


def session(block: str, folder: Path) -> str:
    """The block with the output of its commands as it is now."""
    _, *commands = re.split(r"^\$ ", block, flags=re.MULTILINE)
    lines = []
    for text in commands:
        command, *shown = text.splitlines()
        printed = [line.rstrip() for line in output(command, folder).splitlines()]
        lines += [f"$ {command}", *shorten(shown, printed)]
    return "\n".join(lines) + "\n"


def accuracy_table(results: str) -> str:
    """The table of README.md: the measured errors of the section *Accuracy* of RESULTS.md, the goals and seconds left out."""
    section = re.search(r"<!-- accuracy -->(.*?)<!-- /accuracy -->", results, re.DOTALL)
    if not section:
        raise SystemExit("RESULTS.md has no section of accuracy")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section[1].splitlines() if line[:1] == "|"
    ]
    header, _, *sets = rows
    at = {name: header.index(name) for name in ("set", "measure", "ours (median)", "published", "peers, same run")}
    lines = ["| set | measure | forecaster | NeuralForecast, GRU | published |", "|---|---|---|---|---|"]
    for row in sets:
        peer = re.search(r"NeuralForecast:GRU ([\d.]+)", row[at["peers, same run"]])
        cells = (
            row[at["set"]],
            row[at["measure"]],
            row[at["ours (median)"]],
            peer[1] if peer else "",
            row[at["published"]],
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Renew the table and, unless --table is given, the sessions and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="renew the table of accuracy only")
    arguments = parser.parse_args()
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    table = accuracy_table((ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8"))
    text = TABLE.sub(lambda _: table, text)
    if not arguments.table:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            shutil.copytree(ROOT / "data", folder / "data")
            text = BLOCK.sub(lambda found: session(found[0], folder), text)
            shutil.copy(folder / "forecast.png", ROOT / "docs" / "forecast.png")
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
