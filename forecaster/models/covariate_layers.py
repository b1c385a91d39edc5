"""How a network reads covariates: raw columns to features, along the context, and of each step ahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from forecaster.data.encodings import Encoding
    from forecaster.typing import IntArray, Tensor


MAX_SCORE = 8.0  # standard deviations: a number farther out counts as that far
HIDDEN = 64
LIKENESS = 8  # numbers in which covariates are compared
MAX_SEASONS = 14  # that are compared
MAX_EMBEDDING_WIDTH = 16  # of a category's embedding


class Features:
    """Raw columns [B, ..., C] to numbers: a number to its standard score and whether it is there, a category to its
    learned embedding, with one of its own for texts not met before and one for missing ones: these start at zero, so that
    what training never sees adds nothing.
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
                embeddings_initializer=_met_at_random(seed()),
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
            there = ops.cast(ops.logical_not(_columns(missing, self.numbers)), "float32")
            score = ops.clip((_columns(filled, self.numbers) - self.mean) / self.scale, -MAX_SCORE, MAX_SCORE)
            parts += [ops.cast(score, "float32") * there, there]
        for i, embedding in self.embeddings.items():
            unknown = len(self.encodings[i].levels or ())
            code = ops.where(missing[..., i], ops.zeros_like(filled[..., i]) + (unknown + 1), filled[..., i])
            parts.append(embedding(ops.cast(code, "int32")))
        return ops.concatenate(parts, axis=-1)


def _met_at_random(seed: int) -> Callable[..., Tensor]:
    """First embeddings: random, but for the last two codes, which are zero."""
    import keras

    draw = keras.initializers.RandomUniform(-0.5, 0.5, seed=seed)

    def make(shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        return draw(shape, dtype) * (np.arange(shape[0]) < shape[0] - 2).astype(np.float32)[:, None]

    return make


def _columns(x: Tensor, chosen: Sequence[int]) -> Tensor:
    from keras import ops

    return ops.stack([x[..., i] for i in chosen], axis=-1)


class CovariatePath:
    """A small network that is run for each step ahead: the known covariates there, how far they lie from what they were,
    the values at the same place of earlier seasons, those above all whose covariates were alike, and what the recurrence
    read. It starts at zero.
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
        self.rows = _same_place(context_length, horizon, season_length)
        self.outputs = outputs
        self.likeness = dense(LIKENESS, bias=False)
        self.age = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
        self.step, self.state, self.hidden = dense(HIDDEN), dense(HIDDEN, bias=False), dense(HIDDEN)
        self.dropout = keras.layers.Dropout(dropout, seed=seed()) if dropout else keras.layers.Identity()
        self.out = keras.layers.Dense(3 * outputs, kernel_initializer="zeros")

    def __call__(self, ahead: Tensor, before: Tensor, calendar: Tensor | None, values: Tensor, state: Tensor) -> Tensor:
        """Features of the covariates ahead [B, H, E] and along the context [B, L, E], calendar [B, H, F], located values and
        mask [B, L, 2], the state read [B, D] -> [B, H, K].
        """
        from keras import ops

        place = ops.zeros_like(ahead[:, :, :1]) + np.eye(self.horizon, dtype=np.float32)
        old = self._earlier(values)  # [B, H, M, 2]
        value, there = old[..., 0], old[..., 1]
        usual = ops.sum(value, axis=2) / ops.maximum(ops.sum(there, axis=2), 1.0)
        alike = self._weights(ahead, before, there)
        likely = ops.sum(value * alike, axis=2)
        base = ops.stack([usual, likely - usual], axis=2)
        parts = [ahead, ahead - ops.mean(before, axis=1, keepdims=True), base, place]
        if calendar is not None:
            parts.append(calendar)
        hidden = ops.relu(self.step(ops.concatenate(parts, axis=2)) + self.state(state)[:, None])
        moved = self.out(ops.relu(self.hidden(self.dropout(hidden))))
        shift, grow, lean = (moved[:, :, i * self.outputs : (i + 1) * self.outputs] for i in range(3))
        return shift + grow * base[:, :, :1] + lean * base[:, :, 1:]

    def _weights(self, ahead: Tensor, before: Tensor, there: Tensor) -> Tensor:
        """[B, H, M] shares of the earlier seasons: larger where covariates were alike; 0 where the value is missing."""
        from keras import ops

        apart = self.likeness(ahead)[:, :, None] - self._earlier(self.likeness(before))
        count = self.rows.shape[1]
        age = self.age(ops.zeros_like(there)[..., None] + np.linspace(0.0, 1.0, count, dtype=np.float32)[:, None])
        score = ops.sum(-apart * apart, axis=3) + age[..., 0] + (there - 1.0) * 1e4
        raised = ops.exp(score - ops.max(score, axis=2, keepdims=True))  # Keras' softmax warns of a single season
        return raised / ops.sum(raised, axis=2, keepdims=True) * there

    def _earlier(self, x: Tensor) -> Tensor:
        """[B, L, E] -> [B, H, M, E]: the rows of the context that lie whole seasons before each step ahead."""
        from keras import ops

        taken = ops.take(x, self.rows.reshape(-1), axis=1)
        return ops.reshape(taken, (-1, *self.rows.shape, x.shape[2]))


def _same_place(context_length: int, horizon: int, season_length: int) -> IntArray:
    """[H, M] rows of the context that lie 1 … M whole seasons before each step ahead, M the same for all."""
    season = season_length if season_length <= context_length else 1
    nearest = context_length + np.arange(horizon) % season - season
    return nearest[:, None] - season * np.arange(min(context_length // season, MAX_SEASONS))
