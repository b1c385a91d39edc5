"""How a network reads covariates: encoded columns become features, along the context and at each step ahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from forecaster.data.covariate_encodings import Encoding
    from forecaster.typing import IntArray, Tensor


MAX_SCORE = 8.0  # standard deviations: standard scores are clipped here
HIDDEN = 64
KEY_WIDTH = 8  # of the attention's keys
MAX_SEASONS = 14  # earlier seasons that the attention reads
MAX_EMBEDDING_WIDTH = 16  # of a category's embedding


class Features:
    """Raw columns [B, ..., C] -> features [B, ..., E].

    A number becomes its standard score and whether it is observed; a category becomes its learned embedding. Unknown and
    missing categories have an embedding each, which starts at zero, so that one never seen in training adds nothing.
    """

    def __init__(self, encodings: Sequence[Encoding], seed: Callable[[], int]) -> None:
        import keras

        self.encodings = tuple(encodings)
        self.numbers = [i for i, one in enumerate(self.encodings) if one.levels is None]
        self.mean = np.array([self.encodings[i].mean for i in self.numbers])
        self.scale = np.array([self.encodings[i].scale for i in self.numbers])
        self.embeddings = {
            i: keras.layers.Embedding(
                len(one.levels) + 2,
                min(MAX_EMBEDDING_WIDTH, len(one.levels) // 2 + 2),
                embeddings_initializer=_known_categories(seed()),
            )
            for i, one in enumerate(self.encodings)
            if one.levels is not None
        }

    def __call__(self, raw: Tensor) -> Tensor:
        """[B, ..., C] float64, NaN = missing -> [B, ..., E] float32."""
        from keras import ops

        missing = ops.isnan(raw)
        filled = ops.where(missing, ops.zeros_like(raw), raw)
        parts = []
        if self.numbers:
            observed = ops.cast(ops.logical_not(_columns(missing, self.numbers)), "float32")
            score = ops.clip((_columns(filled, self.numbers) - self.mean) / self.scale, -MAX_SCORE, MAX_SCORE)
            parts += [ops.cast(score, "float32") * observed, observed]
        for i, embedding in self.embeddings.items():
            unknown = len(self.encodings[i].levels or ())
            code = ops.where(missing[..., i], ops.zeros_like(filled[..., i]) + (unknown + 1), filled[..., i])
            parts.append(embedding(ops.cast(code, "int32")))
        return ops.concatenate(parts, axis=-1)


def _known_categories(seed: int) -> Callable[..., Tensor]:
    """Initializer of embeddings: uniform, and zero for the last two codes, unknown and missing."""
    import keras

    draw = keras.initializers.RandomUniform(-0.5, 0.5, seed=seed)

    def make(shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        return draw(shape, dtype) * (np.arange(shape[0]) < shape[0] - 2).astype(np.float32)[:, None]

    return make


def _columns(x: Tensor, chosen: Sequence[int]) -> Tensor:
    from keras import ops

    return ops.stack([x[..., i] for i in chosen], axis=-1)


class CovariatePath:
    """A small network that is run for each step ahead and added to the head's forecast. Its output starts at zero.

    It reads the step's known covariates, their difference from their mean over the context, the target at the same place of
    earlier seasons, averaged plainly and by attention, and the encoder's state. The attention weighs each earlier season by
    how similar its covariates were: softmax of minus the squared distance of keys, plus a learned weight of the age.
    """

    def __init__(
        self,
        *,
        context_length: int,
        horizon: int,
        season_length: int,
        outputs: int,
        dropout: float,
        seed: Callable[[], int],
    ) -> None:
        import keras

        def dense(units: int, *, bias: bool = True) -> Any:
            glorot = keras.initializers.GlorotUniform(seed=seed())
            return keras.layers.Dense(units, use_bias=bias, kernel_initializer=glorot)

        self.horizon = horizon
        self.rows = _seasonal_rows(context_length, horizon, season_length)
        self.outputs = outputs
        self.key = dense(KEY_WIDTH, bias=False)
        self.age = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
        self.step, self.state, self.hidden = dense(HIDDEN), dense(HIDDEN, bias=False), dense(HIDDEN)
        self.dropout = keras.layers.Dropout(dropout, seed=seed()) if dropout else keras.layers.Identity()
        self.out = keras.layers.Dense(3 * outputs, kernel_initializer="zeros")

    def __call__(self, ahead: Tensor, before: Tensor, calendar: Tensor | None, values: Tensor, state: Tensor) -> Tensor:
        """[B, H, K] from the covariates' features ahead [B, H, E] and before, along the context [B, L, E], the calendar's
        [B, H, F], scaled values and mask of the context [B, L, 2], and the encoder's state [B, D].
        """
        from keras import ops

        place = ops.zeros_like(ahead[:, :, :1]) + np.eye(self.horizon, dtype=np.float32)
        earlier = self._earlier(values)  # [B, H, M, 2]
        value, observed = earlier[..., 0], earlier[..., 1]
        mean = ops.sum(value, axis=2) / ops.maximum(ops.sum(observed, axis=2), 1.0)
        attended = ops.sum(value * self._attention(ahead, before, observed), axis=2)
        base = ops.stack([mean, attended - mean], axis=2)
        parts = [ahead, ahead - ops.mean(before, axis=1, keepdims=True), base, place]
        if calendar is not None:
            parts.append(calendar)
        hidden = ops.relu(self.step(ops.concatenate(parts, axis=2)) + self.state(state)[:, None])
        out = self.out(ops.relu(self.hidden(self.dropout(hidden))))
        shift, by_mean, by_attended = (out[:, :, i * self.outputs : (i + 1) * self.outputs] for i in range(3))
        return shift + by_mean * base[:, :, :1] + by_attended * base[:, :, 1:]

    def _attention(self, ahead: Tensor, before: Tensor, observed: Tensor) -> Tensor:
        """[B, H, M] weights of the earlier seasons: larger where covariates were similar; 0 where the value is missing."""
        from keras import ops

        difference = self.key(ahead)[:, :, None] - self._earlier(self.key(before))
        count = self.rows.shape[1]
        age = self.age(ops.zeros_like(observed)[..., None] + np.linspace(0.0, 1.0, count, dtype=np.float32)[:, None])
        score = ops.sum(-difference * difference, axis=3) + age[..., 0] + (observed - 1.0) * 1e4
        raised = ops.exp(score - ops.max(score, axis=2, keepdims=True))  # Keras' softmax warns of a single season
        return raised / ops.sum(raised, axis=2, keepdims=True) * observed

    def _earlier(self, x: Tensor) -> Tensor:
        """[B, L, E] -> [B, H, M, E]: the rows of the context that are whole seasons before each step ahead."""
        from keras import ops

        taken = ops.take(x, self.rows.reshape(-1), axis=1)
        return ops.reshape(taken, (-1, *self.rows.shape, x.shape[2]))


def _seasonal_rows(context_length: int, horizon: int, season_length: int) -> IntArray:
    """[H, M] rows of the context at the season position of each step ahead, from the latest season to the Mth before it."""
    season = season_length if season_length <= context_length else 1
    nearest = context_length + np.arange(horizon) % season - season
    return nearest[:, None] - season * np.arange(min(context_length // season, MAX_SEASONS))
