"""The manifest of a stored model: what it holds, and how it is written and read. It is JSON: nothing in it is executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import Field, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from forecaster.data.calendar import is_row
from forecaster.data.covariate_encodings import Encoding
from forecaster.data.events import Event
from forecaster.data.extra_inputs import Needs
from forecaster.data.freq import Freq
from forecaster.data.panel import ROLES, SeriesSample
from forecaster.data.reading.csv_bytes import check_encoding
from forecaster.data.reading.number_form import DECIMALS, THOUSANDS
from forecaster.data.row_options import AGGREGATES, AS_SHOWN, AS_USUAL, LEADING_ZEROS, SNAPS, RowOptions, TextOptions
from forecaster.data.special_days import special_days_row
from forecaster.data.target_limits import NO_LIMITS, Limits
from forecaster.data.time_zones import check_zone
from forecaster.errors import ArtifactError, UsageError
from forecaster.models.exponential_smoothing import Smoothing
from forecaster.models.seasonal_profile import Profile
from forecaster.models.served_method import served_method
from forecaster.models.settings import FitSettings, NetworkSettings
from forecaster.serving.integrity import MANIFEST, hash_files
from forecaster.serving.plan_rows import PlanRow
from forecaster.serving.schema import validated
from forecaster.typing import FloatArray

FORMAT = 3
TEST_WEIGHTS = "judged.onnx"  # the graph with the tested weights, where other weights serve
HISTORY = "history.csv"

MAX_STEPS = 10_000_000  # of a horizon, a context or a season: no training could have had more

T = TypeVar("T")


@dataclass(frozen=True)
class DataFacts:
    """The training data, and how it was read."""

    path: str  # absolute; "-" or "data frame" where there is no file to read again
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
    first: int  # oldest and latest timestamp, as in Panel
    last: int
    sha256: str  # of names, timestamps and targets
    level: float | None = None  # median over series of their medians; None: trained by a release that did not store it
    scale: float | None = None  # median over series of their robust standard deviations
    timestamp_form: str | None = None  # the format that was inferred, where timestamps fitted several
    rows_as: RowOptions = AS_USUAL  # what happened to the rows of the file
    text_as: TextOptions = AS_SHOWN  # how its text was written
    sample: SeriesSample | None = None  # which of the data's series these are; None = all
    observed: int | None = None  # rows with a target; None: trained by a release that did not store it

    @property
    def observed_share(self) -> float:
        """Of the rows, those with a target."""
        return 1.0 if self.observed is None or not self.rows else self.observed / self.rows


@dataclass(frozen=True)
class Contribution:
    """What one member adds to an ensemble."""

    member: str  # what it is, for people
    error: float | None  # its own MASE on the test windows; None = undefined
    without: float | None  # MASE of the ensemble without it


def needs_of(
    members: Sequence[NetworkSettings],
    context_length: int,
    horizon: int,
    calendar: tuple[str, ...],
    *,
    takes_days_out: bool,
) -> Needs:
    """The inputs of a graph of these members, of which the first reads most.

    `takes_days_out`: special days are taken out of what one of them reads. It may be that none reads the calendar's rows.
    """
    days = special_days_row(calendar)
    read = calendar if members[0].known_width else tuple(row for row in calendar if row != days)
    return Needs(context_length, horizon, read, members[0].covariates, days if takes_days_out else "")


@dataclass(frozen=True)
class Manifest:
    """manifest.json. A field is stored under its own name, or under the `key` of its metadata."""

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
    epochs: int  # of the fit of the serving weights
    stopped: str
    # Test windows per series, one horizon apart, that the tested weights have not seen; 0 = not tested.
    test_windows: int = field(metadata={"key": "held_back"})
    # True: the tested weights serve; False: other weights, fitted after the test.
    serves_tested_weights: bool = field(metadata={"key": "judged_is_served"})
    metrics: Mapping[str, Mapping[str, float | None]]  # "model" and each baseline -> score -> value
    plan: tuple[PlanRow, ...]
    versions: Mapping[str, str]  # library -> version
    files: Mapping[str, str]  # every other file here -> sha256
    error_scales: tuple[str, ...] = ()  # each member's; empty = that of `fit`
    # The simple method that is blended in; None = none.
    smoothing: Smoothing | None = field(default=None, metadata={"key": "floor"})
    calendar: tuple[str, ...] = ()  # names of calendar rows (`is_row`) that make the graph's input `known`
    limits: Limits = NO_LIMITS  # of the target
    recalibrated: int | None = None  # the version that this one was recalibrated from; None = trained
    recalibrated_until: int | None = None  # latest timestamp of the data of that recalibration
    refused: str = ""  # why this version did not serve after its training; "" = it did
    contributions: tuple[Contribution, ...] = ()  # each member's, on the test windows
    own_fits: tuple[FitSettings | None, ...] = ()  # each member's, where that is not `fit`; empty = all are fitted so
    method: str = ""  # what is served, in words; "" in models of format 1: see `served`
    events: tuple[Event, ...] = ()  # of one's own, as the training knew them

    @property
    def is_fitted(self) -> bool:
        """Whether any network has learnt from the rows: a pretrained one that serves as it is, or gives widths, has not."""
        return not all(member.pretrained and not member.tuned for member in self.members)

    @property
    def served(self) -> str:
        """What is served, in words."""
        return self.method or served_method(self.members, self.smoothing)

    @property
    def point_level(self) -> float | None:
        """The level of the quantile that the point forecast is: 0.5 = the median; None = it is a mean."""
        return self.members[0].point_level

    @property
    def forecasts_mean(self) -> bool:
        """Whether the point forecasts are means. Manifests of format 1, whose forecasts are medians, do not say it."""
        return self.point_level is None and self.format > 1

    def held(self, values: FloatArray) -> FloatArray:
        """Point forecasts and quantiles [..., 1 + Q] within the limits. A mean of whole numbers is no whole number."""
        found = self.limits.hold(values)
        if self.limits.integer and self.forecasts_mean:
            found[..., 0] = replace(self.limits, integer=False).hold(values[..., 0])
        return found

    @property
    def reach(self) -> int:
        """Rows before a cutoff of which one must be observed: those of the context without the seasonal profile's."""
        if not any(member.profile for member in self.members):
            return self.context_length
        return max(*(one.context_length for one in self.members), self.smoothing.length if self.smoothing else 0)

    @property
    def serves_simple_method(self) -> bool:
        """Whether a simple method serves alone."""
        return self.smoothing is not None and self.smoothing.weight == 1.0

    @property
    def seen_until(self) -> int:
        """Latest timestamp of the data that the weights or the calibration may have learnt from."""
        last = self.data.last
        return last if self.recalibrated_until is None else max(last, self.recalibrated_until)

    @property
    def needs(self) -> Needs:
        """The inputs of the graph."""
        days = any(member.special_days for member in self.members)
        return needs_of(self.members, self.context_length, self.horizon, self.calendar, takes_days_out=days)

    @property
    def covariates(self) -> tuple[Encoding, ...]:
        """The covariates that the graph reads, in the order of its inputs."""
        return self.members[0].covariates

    def to_json(self) -> str:
        """Indented JSON with a closing newline. The last key, `seal`, is the hash of the others: no file lists it."""
        values = asdict(self)
        stored = {json_key(one): values[one.name] for one in fields(self)}
        whole = json.loads(json.dumps(stored, allow_nan=False))
        return json.dumps({**whole, "seal": _seal(whole)}, indent=1) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """The manifest in `folder`. ArtifactError where it is missing, damaged, or of a format newer than this release."""
    path = folder / MANIFEST
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror}).", "Train again, or roll back.") from error
    return manifest_from(text, path, "Train again, or roll back with `forecaster models rollback`.")


def manifest_from(text: bytes, place: Path | str, hint: str) -> Manifest:
    """The manifest in `text`, found at `place`. ArtifactError as in `read_manifest`; `hint`: what to do where it is damaged."""
    try:
        raw = json.loads(text.decode("utf-8"))
        if not isinstance(raw["format"], int):
            raise TypeError("format")
        if raw["format"] > FORMAT:
            raise ArtifactError(f"{place}: format {raw['format']} is newer than this program.", "Upgrade forecaster.")
        if raw.pop("seal", None) not in (None, _seal(raw)):
            raise ValueError("not what was written")
        raw["data"] = _facts(raw["data"])
        raw["members"] = tuple(network_settings(member) for member in raw["members"])
        raw["fit"] = _record(FitSettings, raw["fit"])
        raw["plan"] = tuple(_record(PlanRow, row) for row in raw["plan"])
        raw["quantiles"] = tuple(raw["quantiles"])
        raw["floor"] = _record(Smoothing, raw["floor"]) if raw.get("floor") else None
        raw["limits"] = _record(Limits, raw.get("limits") or {})
        raw["error_scales"] = tuple(raw.get("error_scales", ()))
        raw["calendar"] = tuple(raw.get("calendar", ()))
        raw["events"] = tuple(_event(one) for one in raw.get("events", ()))
        raw["own_fits"] = tuple(_record(FitSettings, one) if one else None for one in raw.get("own_fits", ()))
        raw["contributions"] = tuple(_record(Contribution, one) for one in raw.get("contributions", ()))
        return _sound(validated(_record(Manifest, raw)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(f"{place}: damaged.", hint) from error


def _sound(manifest: Manifest) -> Manifest:
    """The manifest if its values are possible, too; else ValueError."""
    levels, limits = manifest.quantiles, manifest.limits
    whole = (
        manifest.format,
        manifest.horizon,
        manifest.context_length,
        manifest.data.season_length,
        len(manifest.members),
    )
    possible = (
        min(whole) >= 1,
        max(manifest.horizon, manifest.context_length, manifest.data.season_length) <= MAX_STEPS,
        list(levels) == sorted({*levels}) and all(0 < level < 1 for level in levels),
        all(map(is_row, manifest.calendar)),
        all(one.row in manifest.calendar and len(one.dates) == len(one.series) for one in manifest.events),
        all(one.role in ROLES and one.scale > 0 for member in manifest.members for one in member.covariates),
        limits.low is None or limits.high is None or limits.low <= limits.high,
        _can_be_read_again(manifest.data),
    )
    if not all(possible):
        raise ValueError("a value that no training writes")
    return manifest


def _can_be_read_again(data: DataFacts) -> bool:
    """Whether the program knows the frequency, the zone and the names of how the data was read."""
    rows, text = data.rows_as, data.text_as
    try:
        Freq.parse(data.freq)
        if data.zone is not None:
            check_zone(data.zone)
        if rows.resample is not None:
            Freq.parse(rows.resample)
        if text.encoding is not None:
            check_encoding(text.encoding)
    except UsageError:
        return False
    return (
        rows.snap in (None, *SNAPS)
        and rows.aggregate in (None, *AGGREGATES)
        and rows.leading_zeros in (None, *LEADING_ZEROS)
        and text.decimal in (None, *DECIMALS)
        and text.thousands in (None, "", *THOUSANDS)
    )


def _seal(raw: Mapping[str, object]) -> str:
    """SHA-256 of a manifest's values. It detects damage, not forgery: anybody can write another manifest."""
    return hashlib.sha256(json.dumps(raw).encode()).hexdigest()


def _record(kind: type[T], raw: Mapping[str, object]) -> T:
    """A dataclass from the keys that it knows. Keys that a later release added are ignored."""
    names = {json_key(one): one.name for one in fields(kind)}  # type: ignore[arg-type]
    return kind(**{names[key]: value for key, value in raw.items() if key in names})


def json_key(stored: Field[Any]) -> str:
    """The JSON key of a dataclass's field: the `key` of its metadata, else its name."""
    return str(stored.metadata.get("key", stored.name))


def _facts(raw: Mapping[str, Any]) -> DataFacts:
    rows = raw.get("rows_as") or {}
    try:
        nested = {"rows_as": _record(RowOptions, {**rows, "ignore": tuple(rows.get("ignore", ()))})}
    except UsageError as error:  # options that no training stores together
        raise ValueError(error.message) from None
    text, sample = _record(TextOptions, raw.get("text_as") or {}), raw.get("sample")
    return _record(DataFacts, {**raw, **nested, "text_as": text, "sample": sample and _record(SeriesSample, sample)})


def _event(raw: Mapping[str, Any]) -> Event:
    return _record(Event, {**raw, "dates": tuple(raw["dates"]), "series": tuple(raw["series"])})


def network_settings(raw: Mapping[str, object]) -> NetworkSettings:
    """Settings of a network from its JSON object. KeyError and TypeError where it is none."""
    quantiles = raw["quantiles"]
    if not isinstance(quantiles, list):
        raise TypeError("quantiles")
    covariates = raw.get("covariates", [])
    if not isinstance(covariates, list):
        raise TypeError("covariates")
    encodings = tuple(_encoding(one) for one in covariates)
    profile = raw.get("profile")
    if profile is not None and not isinstance(profile, dict):
        raise TypeError("profile")
    nested = {"covariates": encodings, "profile": profile and _record(Profile, profile)}
    return _record(NetworkSettings, {**raw, "quantiles": tuple(quantiles), **nested})


def _encoding(raw: Mapping[str, object]) -> Encoding:
    levels = raw["levels"]
    if levels is not None and not isinstance(levels, list):
        raise TypeError("levels")
    return _record(Encoding, {**raw, "levels": None if levels is None else tuple(levels)})


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write manifest.json, with the hashes of all files in `folder`; return the manifest as written. Call it last."""
    whole = replace(manifest, files=hash_files(folder))
    (folder / MANIFEST).write_text(whole.to_json(), encoding="utf-8")
    return whole
