"""A stored model: its manifest, its graphs and its calibration. JSON and arrays only, nothing executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

from forecaster.data.encodings import Encoding
from forecaster.data.limits import NO_LIMITS, Limits
from forecaster.data.model_inputs import Needs
from forecaster.errors import ArtifactError
from forecaster.models.settings import FitSettings, NetworkSettings
from forecaster.models.smoothing import Smoothing
from forecaster.serving.integrity import hash_files, verify
from forecaster.serving.runtime import RUNTIMES, Runtime, held_to
from forecaster.serving.training_record import Contribution, PlanRow

FORMAT = 1
MANIFEST = "manifest.json"
TEST_WEIGHTS = "judged.onnx"  # the graph with the weights that were tested, where other weights serve
HISTORY = "history.csv"

T = TypeVar("T")


@dataclass(frozen=True)
class DataFacts:
    """What the model was trained on, and how such data is read."""

    path: str  # absolute, or "-" or "data frame" where there is no file to go back to
    series: str | None  # column names
    timestamp: str | None
    target: str | None
    layout: str
    freq: str
    season_length: int
    zone: str | None
    timestamp_format: str | None
    rows: int
    series_count: int
    first: int  # oldest and newest timestamp, as in Panel
    last: int
    sha256: str  # of names, timestamps and targets
    level: float | None = None  # median over series of their medians; None: not noted by the release that trained
    scale: float | None = None  # median over series of their robust standard deviations


@dataclass(frozen=True)
class Manifest:
    """manifest.json."""

    format: int
    name: str
    created: str  # ISO 8601, UTC
    data: DataFacts
    horizon: int
    context_length: int
    quantiles: tuple[float, ...]
    members: tuple[NetworkSettings, ...]
    fit: FitSettings
    parameters: int
    epochs: int  # epochs that the serving weights were fitted for
    stopped: str
    held_back: int  # test windows per series, a horizon apart, that the test weights have not seen; 0 = not tested
    judged_is_served: bool  # True: the serving weights are those that were tested, nothing was fitted again
    metrics: Mapping[str, Mapping[str, float | None]]  # "model" and each baseline -> score -> value
    plan: tuple[PlanRow, ...]
    versions: Mapping[str, str]  # library -> version
    files: Mapping[str, str]  # every other file here -> sha256
    error_scales: tuple[str, ...] = ()  # each member's, where it is not the fit's
    floor: Smoothing | None = None  # statistical forecast that is blended in
    calendar: tuple[str, ...] = ()  # rows of CALENDAR that make the graph's input `known`
    limits: Limits = NO_LIMITS  # of the target
    recalibrated: int | None = None  # version that this one differs from in its calibration only
    recalibrated_until: int | None = None  # latest timestamp of the data that the calibration was learnt from then
    refused: str = ""  # why this version was kept from serving when it was trained
    contributions: tuple[Contribution, ...] = ()  # what each member adds on the test windows

    @property
    def seen_until(self) -> int:
        """Latest timestamp of all that the weights and the calibration may have learnt from."""
        last = self.data.last
        return last if self.recalibrated_until is None else max(last, self.recalibrated_until)

    @property
    def needs(self) -> Needs:
        """What the graph reads of a panel."""
        return Needs(self.context_length, self.horizon, self.calendar, self.covariates)

    @property
    def covariates(self) -> tuple[Encoding, ...]:
        """Columns that the graph reads, in its order."""
        return self.members[0].covariates

    def to_json(self) -> str:
        """Indented JSON with a closing newline; its last key seals the others, as no other file holds their hash."""
        whole = json.loads(json.dumps(asdict(self), allow_nan=False))
        return json.dumps({**whole, "seal": _seal(whole)}, indent=1) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """ArtifactError where it is missing, damaged, or of a format that only a later release knows."""
    path = folder / MANIFEST
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] > FORMAT:
            raise ArtifactError(f"{path}: format {raw['format']} is newer than this program.", "Upgrade forecaster.")
        if raw.pop("seal", None) not in (None, _seal(raw)):
            raise ValueError("not what was written")
        raw["data"] = _record(DataFacts, raw["data"])
        raw["members"] = tuple(_network(member) for member in raw["members"])
        raw["fit"] = _record(FitSettings, raw["fit"])
        raw["plan"] = tuple(_record(PlanRow, row) for row in raw["plan"])
        raw["quantiles"] = tuple(raw["quantiles"])
        raw["floor"] = _record(Smoothing, raw["floor"]) if raw.get("floor") else None
        raw["limits"] = _record(Limits, raw.get("limits") or {})
        raw["error_scales"] = tuple(raw.get("error_scales", ()))
        raw["calendar"] = tuple(raw.get("calendar", ()))
        raw["contributions"] = tuple(_record(Contribution, one) for one in raw.get("contributions", ()))
        return _record(Manifest, raw)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror}).", "Train again, or roll back.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(
            f"{path}: damaged.", "Train again, or roll back with `forecaster models rollback`."
        ) from error


def _seal(raw: Mapping[str, object]) -> str:
    """SHA-256 of a manifest's values. It finds damage; it keeps nobody from writing another manifest."""
    return hashlib.sha256(json.dumps(raw).encode()).hexdigest()


def _record(kind: type[T], raw: Mapping[str, object]) -> T:
    """A dataclass from the keys that it knows; keys of later minor additions are passed over."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{key: value for key, value in raw.items() if key in known})


def _network(raw: Mapping[str, object]) -> NetworkSettings:
    quantiles = raw["quantiles"]
    if not isinstance(quantiles, list):
        raise TypeError("quantiles")
    covariates = raw.get("covariates", [])
    if not isinstance(covariates, list):
        raise TypeError("covariates")
    encodings = tuple(_encoding(one) for one in covariates)
    return _record(NetworkSettings, {**raw, "quantiles": tuple(quantiles), "covariates": encodings})


def _encoding(raw: Mapping[str, object]) -> Encoding:
    levels = raw["levels"]
    if levels is not None and not isinstance(levels, list):
        raise TypeError("levels")
    return _record(Encoding, {**raw, "levels": None if levels is None else tuple(levels)})


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """The manifest last: it lists the hashes of everything that is then there. Returns it as it was written."""
    whole = replace(manifest, files=hash_files(folder))
    (folder / MANIFEST).write_text(whole.to_json(), encoding="utf-8")
    return whole


def load_runtime(folder: Path, manifest: Manifest, runtime: str, threads: int = 0) -> Runtime:
    """The serving graph, its files' hashes checked first."""
    verify(folder, dict(manifest.files))
    part, make = RUNTIMES[runtime]
    return held_to(make(folder / part, threads), manifest.limits)


def load_test_weights(folder: Path, manifest: Manifest, threads: int = 0) -> Runtime:
    """The graph with the weights that have not seen the test windows, its files' hashes checked first."""
    verify(folder, dict(manifest.files))
    return open_test_weights(folder, manifest, threads)


def open_test_weights(folder: Path, manifest: Manifest, threads: int = 0) -> Runtime:
    """The same graph, just written: nothing is checked."""
    part, make = RUNTIMES["onnx"]
    return held_to(make(folder / (part if manifest.judged_is_served else TEST_WEIGHTS), threads), manifest.limits)
