"""The shape of the pretrained network of each season, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass

from forecaster.models.settings import NetworkSettings

LEVELS = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)


@dataclass(frozen=True)
class Shape:
    """Lengths in rows, and the network's size."""

    season_length: int
    context_length: int
    horizon: int
    segment: int
    recent: int
    units: int = 128
    layers: int = 2
    cell: str = "gru"
    later: int = 2  # further origins in each window, a segment apart
    reach: int = 0  # rows before the context, from which a longer season's profile is learnt and taken out, see serving
    widths: float = (
        1.0  # of its quantiles, times the learnt ones: real series are less certain (benchmarks/ABLATIONS.md)
    )
    start: int = 0  # season whose trained weights it begins from, where their shapes fit; 0 = from nothing

    @property
    def shortest(self) -> int:
        """Rows of the shortest histories that the network is trained on."""
        return max(self.season_length + 2, 6)

    @property
    def span(self) -> int:
        """Rows of a training window that the network sees: a context, the later origins, a horizon."""
        return self.context_length + self.later * self.segment + self.horizon

    @property
    def spare(self) -> int:
        """Rows by which a made series is longer than a window, so that windows begin at any row of a season."""
        return 2 * max(self.season_length, 6)

    def network(self) -> NetworkSettings:
        """The settings of the network."""
        return NetworkSettings(
            cell=self.cell,
            units=self.units,
            layers=self.layers,
            bidirectional=False,
            dropout=0.0,
            residual=False,
            reset_after=True,
            context_length=self.context_length,
            horizon=self.horizon,
            segment=self.segment,
            head="direct",
            transform="none",
            center="season" if self.season_length > 1 else "last",
            input_initializer="glorot",
            recurrent_initializer="orthogonal",
            quantiles=LEVELS,
            season_length=self.season_length,
            point_level=0.5,
            linear=True,
            level=True,
            recent=self.recent,
        )


SHAPES = {
    shape.season_length: shape
    for shape in (
        Shape(12, context_length=120, horizon=24, segment=12, recent=48),
        Shape(4, context_length=40, horizon=8, segment=4, recent=24, widths=1.15),
        Shape(1, context_length=40, horizon=8, segment=4, recent=24, widths=1.15),
        Shape(24, context_length=336, horizon=48, segment=24, recent=168, reach=504),
        Shape(7, context_length=224, horizon=56, segment=14, recent=56, reach=871),
        Shape(48, context_length=672, horizon=96, segment=48, recent=336, reach=1008),
        Shape(52, context_length=208, horizon=52, segment=26, recent=104),
        Shape(5, context_length=160, horizon=40, segment=10, recent=40, reach=623),
    )
}
