"""Change each byte of a stored model in turn. The forecast stays the same, or the error (exit 4) names the file.

A changed byte never changes a forecast: python -m tests.torture.flip --help.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from forecaster.config import PredictSettings
from forecaster.errors import ArtifactError
from forecaster.serving.predict import predict
from forecaster.typing import Silent
from tests.support.stored_models import stored, write_csv
from tests.torture.sandbox import check


def flip(models: Path, data: Path, max_bytes: int, rng: random.Random) -> dict[str, int]:
    """Change bytes of the serving version, and of `current`: all of a file, or `max_bytes` drawn at random. Counts."""
    name = next(path.name for path in models.iterdir() if path.is_dir())
    expected = _forecast(models, data, name)
    folder = models / name / (models / name / "current").read_text().strip()
    same = refused = 0
    for path in sorted(path for path in [*folder.rglob("*"), models / name / "current"] if path.is_file()):
        whole = path.read_bytes()
        everywhere = range(len(whole))
        for at in everywhere if len(whole) <= max_bytes else sorted(rng.sample(everywhere, max_bytes)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ rng.randrange(1, 256)]) + whole[at + 1 :])
            try:
                found = _forecast(models, data, name)
            except ArtifactError as error:
                refused += 1
                named = path.name in str(error) or path.name in ("current", "manifest.json")
                check(named, f"the message names {path.name}: {error}")
            else:
                check(found == expected, f"byte {at} of {path.name} flipped: the forecast is the same")
                same += 1
        path.write_bytes(whole)
    check(_forecast(models, data, name) == expected, "the forecast is the same when all bytes are restored")
    return {"bytes flipped": same + refused, "refused": refused, "same forecast": same}


def _forecast(models: Path, data: Path, name: str) -> tuple[list[float], list[float]]:
    """Point forecasts and quantile forecasts."""
    settings = PredictSettings(models=str(models), model=name, threads=1)
    found = predict(str(data), settings, Silent())
    return found.prediction.tolist(), found.quantile_forecasts.tolist()


def main() -> None:
    """Test the hand-written model, or the one given by --models and --data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--max-bytes", type=int, default=1_000_000, help="bytes to change in each file, at most")
    parser.add_argument("--models", type=Path, help="a copy of a store with one model; it is written to")
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        models, data = given.models, given.data
        if models is None or data is None:
            models, data = Path(folder) / "models", write_csv(Path(folder) / "data.csv", 30)
            stored(models)
        found = flip(models, data, given.max_bytes, random.Random(0))
    print(json.dumps({"flip": found, "seconds": round(time.monotonic() - began, 1)}), flush=True)


if __name__ == "__main__":
    main()
