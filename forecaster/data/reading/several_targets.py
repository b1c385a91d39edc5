"""Several target columns of a long table: each is forecast, so that every series becomes one for each of its targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.reading.joined_columns import joined_name, split_names

if TYPE_CHECKING:
    from forecaster.data.panel import Covariate, Panel
    from forecaster.typing import FloatArray

TARGET = "target"  # the column of a forecast that names the target


def for_each_target(panel: Panel, targets: Sequence[str], values: FloatArray, keys: Sequence[str]) -> Panel:
    """`panel` with a series for each of its series and each of the T `targets`, whose values [R, T] are.

    A name is that of the series and that of the target, joined as several `keys` are; covariates are those of the series.
    """
    count = len(targets)
    lengths = np.repeat(panel.lengths, count)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    row = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - np.repeat(panel.offsets[:-1], count), lengths)
    column = np.repeat(np.tile(np.arange(count), len(panel.series)), lengths)
    names = [
        joined_name([*(split_names(str(name)) if len(keys) > 1 else (str(name),)), target])
        for name in panel.series
        for target in targets
    ]

    def repeated(one: Covariate) -> Covariate:
        values = np.repeat(one.values, count) if one.role == "static" else one.values[row]
        return replace(one, values=values, ahead=None if one.ahead is None else np.repeat(one.ahead, count, axis=0))

    own = keys if len(keys) > 1 else ("series",)
    return replace(
        panel,
        series=np.array(names, dtype=object),
        offsets=offsets,
        timestamps=panel.timestamps[row],
        target=values[row, column],
        gaps=panel.gaps * count,
        covariates=tuple(map(repeated, panel.covariates)),
        keys=(*own, TARGET if TARGET not in own else "target column"),
        targets=tuple(targets),
    )
