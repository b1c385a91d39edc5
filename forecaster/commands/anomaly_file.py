"""The file of `--anomalies`: actuals outside their interval, as CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from forecaster.errors import UsageError
from forecaster.evaluation.anomalies import Anomaly
from forecaster.storage.files import replace_output

ENDINGS = (".csv", ".json")


def check_anomaly_file(path: str) -> None:
    """UsageError for a file with another ending than those that can be written."""
    if Path(path).suffix.lower() not in ENDINGS:
        raise UsageError(f"--anomalies: '{path}' is neither CSV nor JSON.", "Name a file that ends with .csv or .json.")


def write_anomalies(path: str, found: Sequence[Anomaly], warn: Callable[[str], None]) -> None:
    """Write them as CSV or JSON, by the file's ending; `warn` as in `output_lock`. UsageError where it cannot be written."""
    rows = [vars(one) for one in found]
    if Path(path).suffix.lower() == ".json":
        plain = [
            {k: v if not isinstance(v, float) or math.isfinite(v) else None for k, v in row.items()} for row in rows
        ]
        text = json.dumps({"anomalies": plain}, indent=1) + "\n"
    else:
        stream = io.StringIO()
        table = csv.DictWriter(stream, [one.name for one in fields(Anomaly)], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        text = stream.getvalue()
    replace_output(path, text, warn)
