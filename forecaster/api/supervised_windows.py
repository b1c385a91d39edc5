"""Supervised windows of a table: arrays of inputs and targets, scaled window by window, split by time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.api.arguments import check_names, check_switches, column_names, whole_numbers
from forecaster.api.tables import as_data
from forecaster.data.covariate_encodings import Encoding, fit_encodings
from forecaster.data.extra_inputs import ExtraInputs, Needs
from forecaster.data.freq import format_timestamps
from forecaster.data.panel import Columns
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as
from forecaster.data.windows import Windows, latest_windows, rolling
from forecaster.errors import DataError, UsageError
from forecaster.models.scaling import CENTERS, TRANSFORMS, WindowScaler

if TYPE_CHECKING:
    from forecaster.api.tables import Table
    from forecaster.data.panel import Panel
    from forecaster.typing import BoolArray, FloatArray, IntArray, TextArray


@dataclass(frozen=True)
class WindowSet:
    """N windows of T rows before a cutoff and H rows from it on, in the order of the series, oldest first.

    Every array is NumPy. `len()` is N.
    """

    inputs: FloatArray  # [N, T, F] what a network reads of the rows before the cutoff; `features` names the F columns
    targets: FloatArray  # [N, H] the rows from the cutoff on, in the units of `inputs`; NaN where they are not there
    known: FloatArray  # [N, H, U] features of the rows from the cutoff on that are known ahead; U = 0 without any
    series: TextArray  # [N] name of each window's series
    cutoff: TextArray  # [N] timestamp of the first row that is forecast, as text, or the whole number
    center: FloatArray  # [N, 1] float64; after the transform, `value = center + scale * z`; 0 in raw windows
    scale: FloatArray  # [N, 1] float64; 1 in raw windows
    features: tuple[str, ...]  # F names: the target, whether it is observed, then the covariates
    known_features: tuple[str, ...]  # U names
    scaler: WindowScaler | None  # None: the windows are raw

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        read, ahead, known = (list(array.shape) for array in (self.inputs, self.targets, self.known))
        return f"<WindowSet: inputs {read}, targets {ahead}, known {known}, {len(set(self.series))} series>"

    def step_targets(self, segment: int = 1) -> FloatArray:
        """[N, T] the target `segment` rows after each input row: what a per-step network learns. UsageError for segment > H."""
        if not 1 <= segment <= self.targets.shape[1]:
            raise UsageError(f"segment {segment} is not from 1 to the horizon, {self.targets.shape[1]}.")
        return np.concatenate([self.inputs[:, segment:, 0], self.targets[:, :segment]], axis=1)

    def restore(self, forecast: FloatArray) -> FloatArray:
        """Forecasts [N, P] or [N, P, K] in the units of `targets` -> the same shape in the table's units, float64.

        UsageError for another shape.
        """
        values = np.asarray(forecast, np.float64)
        if values.ndim not in (2, 3) or len(values) != len(self):
            raise UsageError(
                f"restore(): forecasts of shape {list(values.shape)} are not of these {len(self)} windows.",
                f"Expected [{len(self)}, P] or [{len(self)}, P, K].",
            )
        if self.scaler is None:
            return values
        whole = values if values.ndim == 3 else values[:, :, None]
        restored = np.asarray(self.scaler.restore(whole, self.center, self.scale))
        return restored if values.ndim == 3 else restored[:, :, 0]

    def dataset(self, batch_size: int = 32, *, shuffle: bool = False, seed: int = 0) -> Any:
        """A `tf.data.Dataset` of batches (inputs [B, T, F], targets [B, H]), float32.

        With known features the inputs are a pair, (inputs, known [B, H, U]). With `shuffle` each pass has another order.
        UsageError for a batch size that is no whole number from 1 up.
        """
        [batch_size] = whole_numbers("dataset()", 1, batch_size=batch_size)
        import tensorflow as tf

        read = (self.inputs, self.known) if self.known.shape[2] else self.inputs
        arrays = tf.nest.map_structure(lambda array: np.asarray(array, np.float32), (read, self.targets))
        rows = tf.data.Dataset.from_tensor_slices(arrays)
        if shuffle:
            rows = rows.shuffle(max(len(self), 1), seed=seed)
        return rows.batch(batch_size)


@dataclass(frozen=True)
class SupervisedWindows:
    """Windows split by time: no row that is a target of one part is a target of an earlier one, or was used to fit scales."""

    train: WindowSet  # every target is before the first one of `validation`
    validation: WindowSet
    test: WindowSet  # the latest windows whose targets are in the table
    latest: WindowSet  # one window for each series, with its cutoff after the last row: to forecast the future


def windows(
    data: Table,
    *,
    context_length: int,
    horizon: int,
    known: str | Sequence[str] = (),
    past: str | Sequence[str] = (),
    static: str | Sequence[str] = (),
    series: str | None = None,
    timestamp: str | None = None,
    target: str | None = None,
    freq: str | None = None,
    scaled: bool = True,
    transform: str = "none",
    center: str = "mean",
    stride: int = 1,
    validation: int = 1,
    test: int = 1,
) -> SupervisedWindows:
    """Supervised windows of a file or data frame with one or many series.

    A window's inputs are [T, F]: T = `context_length` rows, F = 2 + covariates. Column 0 is the target, column 1 is 1 where it
    is observed. A numeric covariate has its value and whether it is observed, a category one column for each text and one for
    any other. Covariates of the context are the known, the past and the static ones; `known` has those ahead.

    Args:
        data: a path, a data frame, a pandas.Series, or a list or array of numbers, as `forecaster.train` takes them.
        context_length: T, rows that a window reads.
        horizon: H, rows that it forecasts.
        known: columns whose values are known ahead, as a sequence or `"a,b"`.
        past: columns that are known up to the cutoff.
        static: columns with one value for each series.
        series: column that names the series; None = inferred.
        timestamp: column of timestamps; None = inferred.
        target: column to forecast; None = inferred.
        freq: step of the timestamps; None = inferred.
        scaled: True: the target is transformed, centred and scaled by each window's own context, missing values are 0, arrays
            are float32, and numeric covariates are standard scores, with mean and deviation of the rows before the validation
            windows. False: everything is in the table's units, categories are codes, NaN = missing, arrays are float64.
        transform: "none" or "log", before the scaling.
        center: "mean", "last" or "season": what is subtracted.
        stride: rows from one training window to the next.
        validation: validation windows of each series, one horizon apart.
        test: test windows of each series, one horizon apart.

    Only windows with T rows before the cutoff are taken, and in `train`, `validation` and `test` only those whose targets are
    all observed.

    Raises:
        UsageError: for an impossible setting.
        DataError: where the table cannot be read, or no series has enough rows for a training window.
    """
    call = "windows()"
    check_switches(call, scaled=scaled)
    check_names(call, TRANSFORMS, transform=transform)
    check_names(call, CENTERS, center=center)
    for name, idle in (("transform", transform == "none"), ("center", center == "mean")):
        if not scaled and not idle:
            raise UsageError(f"windows(): {name} has no effect on raw windows.", "Leave it out, or take scaled=True.")
    context_length, horizon, stride = whole_numbers(
        call, 1, context_length=context_length, horizon=horizon, stride=stride
    )
    validation, test = whole_numbers(call, 0, validation=validation, test=test)
    columns = Columns(series, timestamp, target, *column_names(call, known=known, past=past, static=static))
    panel = read_as(as_data(data), ReadOptions.of(columns, freq=freq))
    season = panel.season_length
    scaler = WindowScaler(transform, center, season) if scaled else None
    start, end = panel.offsets[:-1], panel.offsets[1:]
    before_test = np.maximum(end - horizon * test, start)
    before = np.maximum(before_test - horizon * validation, start)
    gather = _Gatherer(panel, Needs(context_length, horizon, (), fit_encodings(panel, before)), scaler)
    train = gather(_training_windows(panel, before, context_length, horizon, stride))
    if not len(train):
        raise DataError(
            f"{panel.source}: no series has a training window: that takes "
            f"{context_length + horizon * (1 + validation + test)} rows, the longest has {int(panel.lengths.max())}.",
            "Give more history, or a shorter context_length.",
        )
    return SupervisedWindows(
        train=train,
        validation=gather(rolling(panel, before_test, horizon, validation, horizon)),
        test=gather(rolling(panel, end, horizon, test, horizon)),
        latest=gather(latest_windows(panel), with_targets=False),
    )


def _training_windows(panel: Panel, before: IntArray, context_length: int, horizon: int, stride: int) -> Windows:
    """Every `stride`-th window of each series whose targets are before `before` [N], counted from the latest back."""
    cutoffs = [
        np.arange(last, first + context_length - 1, -stride)[::-1]
        for first, last in zip(panel.offsets[:-1], before - horizon, strict=True)
    ]
    of = np.repeat(np.arange(len(cutoffs)), [len(some) for some in cutoffs])
    return Windows(panel.target, panel.offsets[:-1], before, of, np.concatenate(cutoffs).astype(np.int64))


@dataclass(frozen=True)
class _Gatherer:
    """From windows as index pairs to arrays."""

    panel: Panel
    needs: Needs
    scaler: WindowScaler | None

    def __call__(self, windows: Windows, *, with_targets: bool = True) -> WindowSet:
        length, horizon = self.needs.context_length, self.needs.horizon
        usable: BoolArray = windows.cutoff - self.panel.offsets[windows.series] >= length
        if with_targets:
            usable &= ~np.isnan(windows.gather(0, horizon)).any(axis=1)
        windows = windows.take(np.flatnonzero(usable))
        context, targets = windows.gather(length, 0), windows.gather(0, horizon)
        center, scale = np.zeros((len(windows), 1)), np.ones((len(windows), 1))
        values, observed = context, (~np.isnan(context)).astype(np.float64)
        if self.scaler is not None and len(windows):
            values, observed, center, scale = (np.asarray(part) for part in self.scaler.scale_context(context))
            targets = np.asarray(self.scaler.normalise(targets, center, scale))
        along, names = self._covariates(windows, ("known", "past", "static"))
        ahead, known_names = self._covariates(windows, ("known",))
        kind = np.float64 if self.scaler is None else np.float32
        return WindowSet(
            inputs=np.concatenate([values[..., None], observed[..., None], along], axis=2).astype(kind),
            targets=targets.astype(kind),
            known=ahead.astype(kind),
            series=np.asarray(self.panel.series)[windows.series],
            cutoff=format_timestamps(self._cutoff_timestamps(windows), self.panel.freq, self.panel.zone),
            center=center,
            scale=scale,
            features=("target", "observed", *names),
            known_features=known_names,
            scaler=self.scaler,
        )

    def _cutoff_timestamps(self, windows: Windows) -> IntArray:
        """[W] timestamp of the first row from each cutoff on, also where the panel ends before it."""
        before = self.panel.timestamps[windows.cutoff - 1]
        return self.panel.freq.advance(before, np.ones(len(windows), np.int64), self.panel.zone)

    def _covariates(self, windows: Windows, roles: tuple[str, ...]) -> tuple[FloatArray, tuple[str, ...]]:
        """[W, T, E] features along the context and their names; of known columns alone [W, H, U] ahead."""
        length, horizon = self.needs.context_length, self.needs.horizon
        ahead = roles == ("known",)
        parts: list[FloatArray] = []
        names: list[str] = []
        raw = {name: values[:, 0] for name, values in ExtraInputs(self.panel, windows, self.needs)().items()}
        moving = [one for one in self.needs.covariates if one.role != "static"]
        static = [one for one in self.needs.covariates if one.role == "static"]
        for one in [*moving, *static]:
            if one.role not in roles:
                continue
            if one.role == "static":
                values = np.repeat(raw["static"][:, None, static.index(one)], length, axis=1)
            else:
                values = raw["known" if ahead else "past"][:, :, moving.index(one)]
            columns, column_names = _encoded(values, one, scaled=self.scaler is not None)
            parts.append(columns)
            names += column_names
        empty = np.empty((len(windows), horizon if ahead else length, 0))
        return np.concatenate([empty, *parts], axis=2), tuple(names)


def _encoded(values: FloatArray, encoding: Encoding, *, scaled: bool) -> tuple[FloatArray, list[str]]:
    """One covariate [W, P] as columns [W, P, E], and their names; see `windows`."""
    name, observed = encoding.name, ~np.isnan(values)
    if not scaled:
        return values[..., None], [name]
    if encoding.levels is None:
        score = np.where(observed, (values - encoding.mean) / encoding.scale, 0.0)
        return np.stack([score, observed], axis=-1), [name, f"{name} observed"]
    levels = len(encoding.levels)
    one_hot = values[..., None] == np.arange(levels + 1)  # a missing text has 0 in every column
    return one_hot.astype(np.float64), [*(f"{name}={level}" for level in encoding.levels), f"{name}=other"]
