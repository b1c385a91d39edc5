"""The network: scale, encode, forecast and restore, in one graph from the raw context to the caller's units.

context [B, L] ── scale ── segments [B, T, 2S] ── encoder ── head [B, H, K] ── forecast [B, H, 1 + Q]

K counts a head's outputs for each step: the point forecast and the Q quantiles, or the parameters of a distribution, from which
these are computed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from forecaster.models.covariate_layers import CovariatePath, Features
from forecaster.models.distributions import DISTRIBUTIONS
from forecaster.models.encoder import Decode, Encoder, EncoderSettings, Recurrence, run_layer
from forecaster.models.encoder_decoder import EncoderDecoder
from forecaster.models.filled_gaps import without_gaps
from forecaster.models.head_layers import Head, HeadSettings
from forecaster.models.heads import HEADS
from forecaster.models.own_network import OwnEncoder, OwnHead
from forecaster.models.scaling import WindowScaler
from forecaster.models.seasonal_profile import Season, season_of
from forecaster.models.settings import NetworkSettings
from forecaster.models.skip_paths import KnownPath, LinearPath
from forecaster.models.special_days import DaysAround

if TYPE_CHECKING:
    from forecaster.models.encoder import EncoderOutput
    from forecaster.typing import FloatArray, Tensor

P = TypeVar("P")
TakenOut: TypeAlias = "tuple[DaysAround | Season, ...]"  # of what a network reads, in turn


def put_back(values: Tensor, taken: TakenOut, ops: Any) -> Tensor:
    """Values [B, K, ·] of the steps ahead with what was taken out of the context, the last first."""
    for one in reversed(taken):
        values = one.put_back(values, ops)
    return values


class Network:
    """Layers and their weights. Graphs are made of them as often as needed: to train, to serve, to export."""

    def __init__(self, settings: NetworkSettings, seed: int, *, portable: bool = False) -> None:
        self.settings = settings
        seeds = _seeds(seed)
        self.scaler = WindowScaler(settings.transform, settings.center, settings.season_length, settings.origin)
        self.encoder: Encoder | OwnEncoder
        self.head: Head
        if settings.network:
            self.encoder, self.head = OwnEncoder(settings, seeds(), portable=portable), OwnHead(settings)
        else:
            self.encoder = Encoder(_part(EncoderSettings, settings, portable), seeds)
            self.head = HEADS[settings.head](_part(HeadSettings, settings, portable), seeds)
        self.linear = LinearPath(settings.horizon) if settings.linear else None
        self.known = KnownPath(settings.horizon, settings.outputs, seeds) if settings.known_width else None
        self.covariates = _Covariates(settings, seeds) if settings.covariates else None
        self.model = self._serving_model()

    def inputs(self, rows: int = 0) -> list[Tensor]:
        """New inputs of the layers, float64: of all that `forecast` reads, where its rows are stated.

        context [B, L] and, where the network reads them, known [B, H, F + 3J + U], past [B, L, U + P], static [B, G]; and of all
        days [B, L + H, 2].
        """
        import keras

        shapes = replace(self.settings, context_length=rows).shapes if rows else self.settings.core_shapes
        return [keras.Input(shape, dtype="float64", name=name) for name, shape in shapes.items()]

    def own(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """The part of a joint graph's inputs that `forecast` reads: the latest rows.

        A network that reads the context alone can be joined with networks that have more inputs.
        """
        rows = self.settings.rows
        latest = {"context": rows, "past": rows, "days": rows + self.settings.horizon}
        return [inputs[name][:, -latest[name] :] if name in latest else inputs[name] for name in self.settings.shapes]

    def _serving_model(self) -> Any:
        """The serving model, inputs -> forecast [B, H, 1 + Q]. Making it makes all weights, in a fixed order."""
        import keras

        inputs = self.inputs(self.settings.rows)
        return keras.Model(inputs, self.forecast(inputs))

    def forecast(self, inputs: Sequence[Tensor], recur: Recurrence = run_layer) -> Tensor:
        """[B, H, 1 + Q] in the caller's units, float64, quantiles ascending, from the values of `own()`, NaN = missing."""
        from keras import ops

        encoder = self.encoder.with_recurrence(recur)
        read, taken = self.read_of(inputs)
        z, center, scale = self._in_network_units(read, encoder, self.head.forecast)
        answer = self.answer(z, center, scale, self.settings.quantiles)
        return put_back(answer, taken, ops)

    def read_of(self, inputs: Sequence[Tensor]) -> tuple[list[Tensor], TakenOut]:
        """The values of `own()` -> those of `inputs()`, and what was taken out of the context."""
        named = dict(zip(self.settings.shapes, inputs, strict=True))
        context, taken = self.as_read(named["context"], days=named.get("days"))
        return [context, *self.beside(named)], taken

    def beside(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """The values of `inputs()` after the context, from named ones of as many rows or more."""
        length = self.settings.context_length
        return [
            inputs[name][:, -length:] if name == "past" else inputs[name]
            for name in self.settings.core_shapes
            if name != "context"
        ]

    def as_read(self, context: Tensor, ahead: int = 0, days: Tensor | None = None) -> tuple[Tensor, TakenOut]:
        """The context [B, rows + ahead] -> what the network reads of it [B, L + ahead], and what was taken out, in turn.

        `ahead` are rows from the cutoff on, in which no gap is filled. `days` [B, rows + steps, 2] are effects of special days.
        """
        from keras import ops

        settings = self.settings
        taken: TakenOut = ()
        length = settings.context_length
        if days is not None:
            special = DaysAround(days, settings.rows)
            context, taken = special.taken_out(context, ops), (special,)
        if settings.profile is not None:
            season = season_of(context[:, : settings.rows], settings.profile, ops)
            context, taken = season.taken_out(context, length, ahead, ops), (*taken, season)
        if settings.fills_gaps:
            before = ops.reshape(context[:, :length], (-1, length))
            filled = without_gaps(before, settings.season_length, ops)
            context = ops.concatenate([filled, context[:, length:]], axis=1) if ahead else filled
        return context, taken

    def answer(self, z: Tensor, center: Tensor, scale: Tensor, quantiles: tuple[float, ...]) -> Tensor:
        """A head's outputs [B, H, K] -> point forecast and quantiles [B, H, 1 + Q] in the caller's units, float64.

        `quantiles` are the network's own, or empty for the point forecast alone.
        """
        from keras import ops

        if self.settings.distribution:
            row = DISTRIBUTIONS[self.settings.distribution]
            return row.forecast(z, quantiles, row.units(self.scaler, center, scale))
        point = z[:, :, :1]
        if quantiles:
            point = ops.concatenate([point, ops.sort(z[:, :, 1:], axis=-1)], axis=-1)
        return self.scaler.restore(point, center, scale)

    def _in_network_units(
        self, inputs: Sequence[Tensor], encoder: Encoder | OwnEncoder, head: Callable[[Any, EncoderOutput], Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs of `head` and of the paths past the encoder, and the centre and scale [B, 1] that restore them."""
        from keras import ops

        named = dict(zip(self.settings.core_shapes, inputs, strict=True))
        calendar = None
        values, mask, center, scale = self.scaler.scale_context(inputs[0])
        before = self.covariates.known_before(named) if self.covariates else None
        extra = self.covariates.along(named, before) if self.covariates else None
        if self.settings.level:
            extra = self._with_level(extra, center, scale)
        read = encoder.read(values, mask, extra)
        z = head(encoder, read)
        if self.linear:
            z = self._with_linear(self.linear(values), z)
        if self.known:
            calendar = self._known_features(named["known"][:, :, : self.settings.known_width], center, scale)
            z = z + self.known(calendar, read.last)
        if self.covariates and before is not None:
            scaled = ops.stack([values, mask], axis=2)
            z = z + self.covariates.ahead(named, before, scaled, calendar, read.last)
        return z, center, scale

    def _with_level(self, extra: Tensor | None, center: Tensor, scale: Tensor) -> Tensor:
        """[B, L, E + 1]: the covariates' features, if any, and the level of the window at each of its rows."""
        from keras import ops

        level = ops.repeat(self.scaler.level(center, scale)[:, None], self.settings.context_length, axis=1)
        return level if extra is None else ops.concatenate([extra, level], axis=2)

    def _with_linear(self, path: Tensor, z: Tensor) -> Tensor:
        """[B, H, 1] + [B, H, K]: it is added to every forecast, but of a distribution's parameters to the location only."""
        from keras import ops

        if self.settings.distribution:
            return ops.concatenate([path + z[:, :, :1], z[:, :, 1:]], axis=2)
        return path + z  # the operand that is broadcast comes first: see WindowScaler.restore

    def _known_features(self, known: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        """Raw calendar and lags [B, H, F + 3J] -> features of the same shape, float32.

        Each lag with its two neighbours becomes its scaled value, whether it is observed, and its difference from the mean
        of its neighbours, which shows whether its day was special.
        """
        from keras import ops

        count, (_, horizon, _) = self.settings.lags, known.shape
        calendar = known[:, :, : self.settings.known]
        if not count:
            return ops.cast(calendar, "float32")
        raw = ops.reshape(known[:, :, self.settings.known :], (-1, horizon * 3 * count))
        missing = ops.isnan(raw)
        seen = ops.cast(ops.logical_not(missing), "float64")
        z = self.scaler.normalise(ops.where(missing, ops.zeros_like(raw), raw), center, scale) * seen
        z, seen = (ops.reshape(part, (-1, horizon, count, 3)) for part in (z, seen))
        special = (z[..., 0] - 0.5 * (z[..., 1] + z[..., 2])) * seen[..., 0] * seen[..., 1] * seen[..., 2]
        return ops.cast(ops.concatenate([calendar, z[..., 0], seen[..., 0], special], axis=2), "float32")

    def encoder_inputs(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor | None]:
        """What the encoder reads of the values of `inputs()`: scaled values and mask [B, L], covariates' features [B, L, E]."""
        named = dict(zip(self.settings.core_shapes, inputs, strict=True))
        values, mask, _, _ = self.scaler.scale_context(inputs[0])
        extra = self.covariates.along(named, self.covariates.known_before(named)) if self.covariates else None
        return values, mask, extra

    def training_model(
        self, recur: Recurrence = run_layer, decode: Decode | None = None, *, forced: bool = False
    ) -> Any:
        """Keras model, inputs -> (z [B, P, K] for the steps of `target_span`, center [B, 1], scale [B, 1]).

        `forced`: it also reads a teacher [B, H], the actuals in the network's units that the decoder reads; NaN = its forecasts.
        """
        import keras

        encoder = self.encoder.with_recurrence(recur, decode)
        if not forced or not isinstance(self.head, EncoderDecoder):
            return self._unrestored_model(self.head.training, encoder)
        teacher, head = keras.Input((self.settings.horizon,), name="teacher"), self.head
        inputs = self.inputs()
        outputs = self._in_network_units(inputs, encoder, lambda this, read: head.forced(this, read, teacher))
        return keras.Model([*inputs, teacher], outputs)

    def horizon_model(self, recur: Recurrence = run_layer) -> Any:
        """Keras model, inputs -> (z [B, H, K] forecast as in use, center [B, 1], scale [B, 1])."""
        return self._unrestored_model(self.head.forecast, self.encoder.with_recurrence(recur))

    def _unrestored_model(self, head: Callable[[Any, EncoderOutput], Tensor], encoder: Encoder | OwnEncoder) -> Any:
        import keras

        inputs = self.inputs()
        return keras.Model(inputs, self._in_network_units(inputs, encoder, head))

    @property
    def reach(self) -> int:
        """Steps after the cutoff that training reads: the horizon, or a whole segment if that is longer."""
        return max(self.settings.horizon, self.head.target_span()[1] - self.settings.context_length)

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        return sum(w.size for w in self.weights)

    @property
    def weights(self) -> list[FloatArray]:
        """Every trained array, in the order in which the layers were made."""
        values: list[FloatArray] = self.model.get_weights()
        return values

    @weights.setter
    def weights(self, values: list[FloatArray]) -> None:
        self.model.set_weights(values)

    def portable(self) -> Network:
        """The same network and weights, whose graph has no operation that needs a GPU."""
        clone = Network(self.settings, 0, portable=True)
        clone.weights = self.weights
        return clone


class _Covariates:
    """The layers that read covariates: the same features along the context and ahead."""

    def __init__(self, settings: NetworkSettings, seed: Callable[[], int]) -> None:
        self.settings = settings
        known, past, static = (settings.of_role(role) for role in ("known", "past", "static"))
        self.count = len(known)
        self.known = Features(known, seed) if known else None
        self.past = Features(past, seed) if past else None
        self.static = Features(static, seed) if static else None
        self.path = self._path(seed) if known else None

    def _path(self, seed: Callable[[], int]) -> CovariatePath:
        return CovariatePath(
            context_length=self.settings.context_length,
            horizon=self.settings.horizon,
            season_length=self.settings.season_length,
            outputs=self.settings.outputs,
            dropout=self.settings.dropout,
            seed=seed,
        )

    def known_before(self, named: dict[str, Tensor]) -> Tensor | None:
        """[B, L, E] features of the known columns along the context; None where there are none."""
        return self.known(named["past"][:, :, : self.count]) if self.known else None

    def along(self, named: dict[str, Tensor], before: Tensor | None) -> Tensor:
        """[B, L, E] features of every column along the context."""
        from keras import ops

        parts = [] if before is None else [before]
        if self.past:
            parts.append(self.past(named["past"][:, :, self.count :]))
        if self.static:
            static = self.static(named["static"])[:, None]
            parts.append(ops.repeat(static, self.settings.context_length, axis=1))
        return ops.concatenate(parts, axis=2)

    def ahead(
        self, named: dict[str, Tensor], before: Tensor, scaled: Tensor, calendar: Tensor | None, last: Tensor
    ) -> Tensor:
        """[B, H, K] what the known columns add to the head's outputs.

        `before` [B, L, E] are their features along the context, `scaled` [B, L, 2] its values and mask.
        """
        from keras import ops

        if not self.known or not self.path:
            raise ValueError("no column is known ahead")
        state = ops.concatenate([last, self.static(named["static"])], axis=1) if self.static else last
        ahead = self.known(named["known"][:, :, self.settings.known_width :])
        return self.path(ahead, before, calendar, scaled, state)


def _seeds(seed: int) -> Callable[[], int]:
    """A stream of seeds: each layer has its own, and none depends on global state."""
    source = random.Random(seed)
    return lambda: source.getrandbits(31)


def _part(kind: type[P], settings: NetworkSettings, portable: bool) -> P:
    """The settings of one part of the network: the fields of `kind`, by name."""
    known = {**vars(settings), "outputs": settings.outputs, "portable": portable}
    known["extra_inputs"] = bool(settings.covariates) or settings.level
    return kind(**{field.name: known[field.name] for field in fields(kind)})  # type: ignore[arg-type]
