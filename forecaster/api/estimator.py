"""A forecaster as scikit-learn users expect it: parameters in the constructor, `fit`, `predict`, `get_params`, `set_params`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecaster.api.signatures import with_options
from forecaster.config import TrainSettings
from forecaster.config.option import options
from forecaster.errors import UsageError, nearest

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.api import Model
    from forecaster.api.tables import Table


class Forecaster:
    """Options of `train` as parameters. `fit(data)` trains and stores a model, `predict()` forecasts after its last rows.

    `sklearn.base.clone` copies it. In a loop over cutoffs, clone it and fit it on the rows before each. `model_` is the stored
    model.
    """

    def __init__(self, **options: Any) -> None:
        _refuse_unknown(options)
        self._given = dict(options)

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """The options that are given, and the defaults of the others."""
        return {name: getattr(TrainSettings, name) for name in options(TrainSettings)} | self._given

    def set_params(self, **changes: Any) -> Forecaster:
        """Give other values to options. UsageError for an option that `train` does not know."""
        _refuse_unknown(changes)
        self._given |= changes
        return self

    def fit(self, data: Table, y: None = None) -> Forecaster:  # noqa: ARG002
        """Train on `data`, a path or a table, and keep the stored model as `model_`. `y` is not read: targets are in `data`."""
        from forecaster.api import train

        self.model_: Model = train(data, **self._changed())
        return self

    def _changed(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
        return {name: value for name, value in self._given.items() if value != getattr(TrainSettings, name)}

    def predict(self, data: Table | None = None, **options: Any) -> pd.DataFrame:
        """Forecasts after the last rows of `data`, or of what it was fitted on; options are those of `Model.predict`."""
        if not hasattr(self, "model_"):
            raise UsageError("this Forecaster is not fitted yet.", "Call fit(data) first.")
        return self.model_.predict(data, **options)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __repr__(self) -> str:
        return f"Forecaster({', '.join(f'{name}={value!r}' for name, value in self._changed().items())})"


def _refuse_unknown(given: dict[str, Any]) -> None:
    known = options(TrainSettings)
    for name in given:
        if name not in known:
            raise UsageError(f"Forecaster(): unknown option '{name}'.", nearest(name, tuple(sorted(known))))


with_options(TrainSettings)(Forecaster.__init__)
