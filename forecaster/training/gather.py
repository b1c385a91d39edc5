"""A panel's rows as tensors, from which the training graph gathers its windows.

Gathering is many small operations on indices. Compiled into one loop it takes a seventh of the time (benchmarks/ABLATIONS.md).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from forecaster.data.calendar import KnownRows
    from forecaster.data.covariate_encodings import EncodedCovariates
    from forecaster.typing import FloatArray, Tensor


class SeriesBounds(NamedTuple):
    """Which rows of each series may be read."""

    first: Tensor  # [N]
    end: Tensor  # [N] one after the last


class RowGatherer:
    """A panel's rows as tensors, each value once, and windows of them by the rules of `Windows.gather`."""

    def __init__(
        self, target: FloatArray, known: KnownRows | None = None, covariates: EncodedCovariates | None = None
    ) -> None:
        import tensorflow as tf

        self.target = tf.constant(target, tf.float64)
        self.known = known and tuple(tf.constant(part) for part in (known.table, known.back, known.row))
        self.around = known.season_length * np.array([0, -1, 1]) if known else None
        self.covariates = covariates and (tf.constant(covariates.rows), tf.constant(covariates.static))
        self.columns = covariates.known if covariates else 0  # U

    @cached_property
    def compiled(self) -> Callable[..., tuple[Tensor, dict[str, Tensor]]]:
        """`gather_all` compiled into one loop, for batches of one size."""
        import tensorflow as tf

        compiled: Callable[..., tuple[Tensor, dict[str, Tensor]]] = tf.function(
            self.gather_all, jit_compile=True, autograph=False
        )
        return compiled

    def gather_all(
        self, bounds: SeriesBounds, series: Tensor, cutoff: Tensor, before: int, after: int, horizon: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Windows [B, before + after] around each cutoff, and the graph's extra inputs by name, without `days`."""
        values = self.gather(bounds, series, cutoff, before, after)
        return values, self.gather_extra(bounds, series, cutoff, before, horizon)

    def gather(self, bounds: SeriesBounds, series: Tensor, cutoff: Tensor, before: int, after: int) -> Tensor:
        """Windows [B, before + after] around each cutoff; NaN outside the bounds."""
        import tensorflow as tf

        rows, there = _rows(bounds, series, cutoff, before, after)
        values = tf.gather(self.target, tf.where(there, rows, 0))
        return tf.where(there, values, tf.constant(np.nan, tf.float64))

    def gather_days(
        self, bounds: SeriesBounds, days: Tensor, series: Tensor, cutoff: Tensor, before: int, after: int
    ) -> Tensor:
        """[B, before + after, 2] of each row's `days` [R, 2]; those of an ordinary one outside the bounds."""
        import tensorflow as tf

        rows, there = _rows(bounds, series, cutoff, before, after)
        found = tf.gather(days, tf.where(there, rows, 0))
        return tf.where(there[:, :, None], found, tf.constant([1.0, 0.0], tf.float64))

    def gather_known(self, bounds: SeriesBounds, series: Tensor, cutoff: Tensor, horizon: int) -> dict[str, Tensor]:
        """`known` [B, H, F + 3J], as `known_ahead`, 0 outside the series; nothing without a calendar."""
        import tensorflow as tf

        if not self.known:
            return {}
        table, back, place = self.known
        rows, there = _rows(bounds, series, cutoff, 0, horizon)
        stamp = tf.gather(place, tf.where(there, rows, 0))
        values = tf.where(there[:, :, None], tf.gather(table, stamp), tf.zeros((), tf.float64))
        lags = (rows[:, :, None] - tf.gather(back, stamp))[..., None] + self.around  # [B, H, J, 3]
        first = tf.gather(bounds.first, series)
        seen = (lags >= first[:, None, None, None]) & (lags < cutoff[:, None, None, None])
        old = tf.where(seen, tf.gather(self.target, tf.where(seen, lags, 0)), tf.constant(np.nan, tf.float64))
        lagged = tf.reshape(old, (tf.shape(rows)[0], horizon, 3 * back.shape[1]))
        return {"known": tf.concat([values, lagged], axis=2)}

    def gather_extra(
        self, bounds: SeriesBounds, series: Tensor, cutoff: Tensor, before: int, horizon: int
    ) -> dict[str, Tensor]:
        """The graph's extra inputs, as `ExtraInputs` gathers them: known, past and static, where there are any.

        Covariates of rows outside the bounds are missing.
        """
        import tensorflow as tf

        inputs = self.gather_known(bounds, series, cutoff, horizon)
        if not self.covariates:
            return inputs
        table, static = self.covariates
        rows, there = _rows(bounds, series, cutoff, before, horizon)
        values = tf.gather(table, tf.where(there, rows, 0))
        strip = tf.where(there[:, :, None], values, tf.constant(np.nan, tf.float64))
        if self.columns:
            ahead = strip[:, before:, : self.columns]
            inputs["known"] = tf.concat([*inputs.values(), ahead], axis=2)
        if table.shape[1]:
            inputs["past"] = strip[:, :before]
        if static.shape[1]:
            inputs["static"] = tf.gather(static, series)
        return inputs


def _rows(bounds: SeriesBounds, series: Tensor, cutoff: Tensor, before: int, after: int) -> tuple[Tensor, Tensor]:
    """Rows [B, before + after] around each cutoff, and whether they are in the bounds.

    One unsigned comparison tests both bounds: a position before the series' start wraps around.
    """
    import tensorflow as tf

    start, end = tf.gather(bounds.first, series), tf.gather(bounds.end, series)
    length = tf.bitcast(end - start, tf.uint64)
    place = (cutoff - start)[:, None] + tf.range(-before, after, dtype=tf.int64)
    return place + start[:, None], tf.bitcast(place, tf.uint64) < length[:, None]
