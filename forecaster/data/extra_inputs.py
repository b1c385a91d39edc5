"""The inputs of a network besides the context: calendar features and lags of each step ahead, and covariates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.calendar import known_ahead
from forecaster.data.covariate_encodings import EncodedCovariates, Encoding, encode
from forecaster.data.day_effects import days_around
from forecaster.data.special_days import Rules

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.typing import FloatArray


@dataclass(frozen=True)
class Needs:
    """What the networks of a plan read."""

    context_length: int  # the longest of theirs
    horizon: int
    calendar: tuple[str, ...]  # names of calendar rows (`is_row`)
    covariates: tuple[Encoding, ...] = ()
    special_days: str = ""  # the row of those that are taken out of what a network reads; empty = none are


@dataclass(frozen=True)
class ExtraInputs:
    """The inputs of some windows other than their context, gathered when the object is called.

    known [B, H, F + 3J + U]: calendar, lags, the U known covariates; past [B, L, U + P]: known covariates and past ones
    along the context; static [B, G]; days [B, L + H, 2]: factor and summand of special days, along the context and ahead.
    An input without columns is left out. A longer horizon takes several blocks of H steps.
    """

    panel: Panel
    windows: Windows
    needs: Needs
    blocks: int = 1
    encoded: EncodedCovariates | None = field(init=False)

    def __post_init__(self) -> None:
        needed = self.needs.covariates
        object.__setattr__(self, "encoded", encode(self.panel, needed) if needed else None)

    def __call__(self, part: slice = slice(None)) -> dict[str, FloatArray]:
        """Name of the input -> [w, blocks, ...] of the windows in `part`."""
        windows = self.windows.take(part)
        horizon = self.needs.horizon
        calendar = known_ahead(self.panel, windows, horizon, self.needs.calendar, self.blocks)
        inputs = {} if calendar is None else {"known": calendar}
        return {**self._of_covariates(windows, inputs), **self._days(windows)}

    def _days(self, windows: Windows) -> dict[str, FloatArray]:
        """The input `days`; none where no network reads it."""
        if not self.needs.special_days:
            return {}
        length, horizon = self.needs.context_length, self.needs.horizon
        rules = Rules.parse(self.needs.special_days)
        around = days_around(self.panel, windows, length, self.blocks * horizon, rules)
        starts = horizon * np.arange(self.blocks)
        return {"days": np.stack([around[:, start : start + length + horizon] for start in starts], axis=1)}

    def _of_covariates(self, windows: Windows, inputs: dict[str, FloatArray]) -> dict[str, FloatArray]:
        """The inputs with those of the covariates."""
        horizon = self.needs.horizon
        if self.encoded is None:
            return inputs
        strip = self._strip(windows, self.encoded)
        length, known = self.needs.context_length, self.encoded.known
        if known:
            ahead = strip[:, length:, :known].reshape(len(windows), self.blocks, horizon, known)
            inputs["known"] = np.concatenate([inputs["known"], ahead], axis=3) if "known" in inputs else ahead
        if strip.shape[2]:
            starts = horizon * np.arange(self.blocks)
            inputs["past"] = np.stack([strip[:, start : start + length] for start in starts], axis=1)
        if self.encoded.static.shape[1]:
            static = self.encoded.static[windows.series][:, None]
            inputs["static"] = np.broadcast_to(static, (len(windows), self.blocks, static.shape[2]))
        return inputs

    def _strip(self, windows: Windows, encoded: EncodedCovariates) -> FloatArray:
        """[w, L + blocks · H, U + P] covariates around each cutoff: past ones stop there, known ones go on."""
        steps = self.blocks * self.needs.horizon
        rows = windows.cutoff[:, None] + np.arange(-self.needs.context_length, steps)
        start, end = (self.panel.offsets[windows.series + i][:, None] for i in (0, 1))
        inside = (rows >= start) & (rows < end)
        strip = np.where(inside[..., None], encoded.rows[np.where(inside, rows, 0)], np.nan)
        strip[:, self.needs.context_length :, encoded.known :] = np.nan
        beyond = rows - end
        window, step = np.nonzero((beyond >= 0) & (beyond < encoded.ahead.shape[1]))
        strip[window, step, : encoded.known] = encoded.ahead[windows.series[window], beyond[window, step]]
        return strip


def input_shapes(
    context_length: int, horizon: int, known: int, covariates: tuple[Encoding, ...], *, special_days: bool = False
) -> dict[str, tuple[int, ...]]:
    """Name -> shape (without the batch) of each input of a graph, in order.

    `known`: numbers per step of calendar and lags; `special_days`: whether their effects are an input.
    """
    count = {role: sum(one.role == role for one in covariates) for role in ("known", "past", "static")}
    shapes: dict[str, tuple[int, ...]] = {"context": (context_length,)}
    if known + count["known"]:
        shapes["known"] = (horizon, known + count["known"])
    if count["known"] + count["past"]:
        shapes["past"] = (context_length, count["known"] + count["past"])
    if count["static"]:
        shapes["static"] = (count["static"],)
    if special_days:
        shapes["days"] = (context_length + horizon, 2)
    return shapes
