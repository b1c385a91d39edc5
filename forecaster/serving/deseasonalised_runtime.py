"""A pretrained network on series with a season that it does not know: a graph is run on contexts less their seasonal profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.models.seasonal_profile import season_of

if TYPE_CHECKING:
    from forecaster.models.seasonal_profile import Profile
    from forecaster.serving.runtime import Runtime
    from forecaster.typing import FloatArray


@dataclass(frozen=True)
class DeseasonalisedRuntime:
    """A graph that reads `length` rows, run on contexts without their season."""

    graph: Runtime
    length: int
    profile: Profile

    @property
    def context_length(self) -> int:
        """Rows of the contexts: whole seasons, and at least as many as the graph reads."""
        return self.profile.rows(self.length)

    def run(self, context: FloatArray, extra: Mapping[str, FloatArray] | None = None) -> FloatArray:
        """As `Runtime.run`, for contexts [B, context_length]."""
        season = season_of(context, self.profile)
        return np.asarray(season.put_back(self.graph.run(season.taken_out(context, self.length), extra)))
