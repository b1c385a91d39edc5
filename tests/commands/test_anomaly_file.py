"""The file of anomalies: as CSV or JSON, by its ending."""

from __future__ import annotations

import csv
import json

import pytest

from forecaster.commands.anomaly_file import check_anomaly_file, write_anomalies
from forecaster.errors import UsageError
from forecaster.evaluation.anomalies import Anomaly
from tests.support.factories import Recorder


def test_they_are_written_as_csv_or_json_and_nothing_else(tmp_path):
    one = Anomaly('a"\n', "2024-01-01", 2, 9.0, 1.0, 0.0, 2.0, 0.8, 0.01)
    write_anomalies(str(tmp_path / "a.csv"), [one], Recorder().warn)
    write_anomalies(str(tmp_path / "a.json"), [one], Recorder().warn)
    with (tmp_path / "a.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["series"] == 'a"\n' and float(row["probability"]) == 0.01
    assert json.loads((tmp_path / "a.json").read_text())["anomalies"] == [vars(one)]
    with pytest.raises(UsageError, match="neither CSV nor JSON"):
        check_anomaly_file("a.txt")
