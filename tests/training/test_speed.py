"""What keeps training and predicting fast and small in memory, as far as it can be counted instead of timed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

import numpy as np
import pytest

from forecaster.data.panel import Panel
from forecaster.data.windows import latest_windows
from forecaster.models.heads import HEADS, OPEN_HEADS
from forecaster.models.network import Network
from forecaster.models.settings import FitSettings, NetworkSettings
from forecaster.serving.runtime import BATCH, forecast
from forecaster.training.compiled_steps import Trainer, Trainers
from forecaster.training.fit import FitControl, fit
from forecaster.training.fit_types import Task
from forecaster.training.learning_rate import SCHEDULES
from forecaster.training.split import Needs, Split, split
from forecaster.typing import FloatArray
from tests.support.factories import Recorder, fit_settings, network_settings, panel_of, waves


@dataclass(frozen=True)
class FitCall:
    """The arguments of a fit. A test replaces one of them at a time."""

    task: Task
    network: NetworkSettings
    training: FitSettings
    seed: int = 1

    def weights(self, trainers: Trainers | None = None) -> list[FloatArray]:
        """Fit a new network, and return its weights."""
        network = Network(self.network, self.seed)
        fit(network, self.task, self.training, FitControl(Recorder(), "test"), trainers=trainers)
        return network.weights


def parts_of(panel: Panel, context_length: int = 8) -> Split:
    """The panel split for one test window of three steps."""
    return split(panel, Needs(context_length, 3, calendar=()), 1)


def trainer_of(panel: Panel, context_length: int = 8, **options: Any) -> Trainer:
    """A trainer of a new network on the panel."""
    network = Network(network_settings(context_length=context_length), seed=1)
    return Trainer(network, parts_of(panel, context_length).test, fit_settings(), 40, **options)


def weights_after(parts: int) -> list[FloatArray]:
    """The weights after a fit that divides each batch into `parts`."""
    network = Network(network_settings(dropout=0.2), seed=1)
    control = FitControl(Recorder(), "test")
    fit(network, parts_of(panel_of(*waves(3, 40))).test, fit_settings(epochs=2), control, parts=parts)
    return network.weights


class CountingRuntime:
    """A runtime that repeats the latest value, and keeps the size of each batch."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def run(self, context: FloatArray, _extra: Mapping[str, FloatArray] | None = None) -> FloatArray:
        """[B, 3, 1] from [B, L]."""
        self.sizes.append(len(context))
        return np.repeat(context[:, -1:, None], 3, axis=1)


def test_windows_share_the_rows_of_the_panel():
    panel = panel_of(*waves(3, 40))
    parts = parts_of(panel)
    for windows in (latest_windows(panel), parts.test.training, parts.test_windows):
        assert np.shares_memory(windows.target, panel.target)
        per_window = (windows.series.nbytes + windows.cutoff.nbytes) / max(len(windows), 1)
        assert per_window in (0, 16)


def test_drawing_windows_takes_memory_by_series():
    panel = panel_of(*waves(2, 5000))
    drawn = parts_of(panel).test.sampler
    assert len(drawn) > 9000
    assert sum(part.nbytes for part in (drawn.series, drawn.first, drawn.last)) == 2 * 3 * 8


def test_predictions_are_made_in_batches_of_bounded_size():
    runtime = CountingRuntime()
    context = np.arange(2.0 * BATCH + 5)[:, None] + np.zeros(4)
    answer = forecast(runtime, context, 7)
    assert answer.shape == (2 * BATCH + 5, 7, 1)
    assert set(runtime.sizes) == {BATCH, 5}


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_rows_in_the_graph_do_not_grow_with_the_context():
    panel = panel_of(*waves(3, 400))
    sizes = []
    for context_length in (8, 80):
        trainer = trainer_of(panel, context_length)
        (start, end), scale, days = trainer.training
        sizes.append(sum(np.asarray(part).nbytes for part in (trainer.rows.target, start, end, scale, days)))
    assert sizes[0] == sizes[1] == panel.target.nbytes + 3 * 3 * 8


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("parts", [1, 3])
def test_steps_are_traced_once_whatever_their_number_and_the_size_of_the_batch(parts):
    panel = panel_of(*waves(3, 40))
    trainer, drawn = trainer_of(panel, parts=parts), parts_of(panel).test.sampler
    for steps, batch in ((2, 8), (2, 8), (1, 5), (3, 7)):
        series, cutoff = drawn.epoch(steps * batch, np.random.default_rng(0))
        trainer.steps(series.reshape(steps, batch), cutoff.reshape(steps, batch))
    assert trainer.traces == 1


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_parts_of_a_batch_give_its_mean_loss_and_gradient():
    panel = panel_of(*waves(2, 40), [np.nan] * 20 + [5.0, 6.0] * 10)  # parts with unlike numbers of observed steps
    series, cutoff = parts_of(panel).test.sampler.epoch(7, np.random.default_rng(0))
    found = {}
    for parts in (1, 3):
        trainer = trainer_of(panel, parts=parts)
        loss = np.asarray(trainer.steps(series[None], cutoff[None]))
        found[parts] = loss, trainer.network.weights
    np.testing.assert_allclose(found[1][0], found[3][0], rtol=1e-5)
    for one, other in zip(found[1][1], found[3][1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_parts_that_are_worked_on_at_once_are_repeatable_to_the_bit():
    for one, other in zip(weights_after(2), weights_after(2), strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
@pytest.mark.long
@pytest.mark.parametrize(("head", "schedule"), zip(HEADS, cycle(SCHEDULES), strict=False))
def test_a_fit_like_one_before_is_not_compiled_again_and_learns_what_it_would_have(head, schedule):
    parts = parts_of(panel_of(*waves(3, 60)))
    open_head = {"linear": True} if head in OPEN_HEADS else {}
    settings = network_settings(head=head, dropout=0.2, layers=2, bidirectional=head != "recursive", **open_head)
    first = FitCall(parts.selection, settings, fit_settings(epochs=2, schedule=schedule))
    second = FitCall(parts.final, settings, replace(first.training, seed=5), seed=2)
    trainers = Trainers()
    first.weights(trainers)
    again = second.weights(trainers)
    assert [trainer.traces for _, trainer in trainers.idle] == [1]
    for one, other in zip(again, second.weights(), strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_a_fit_that_differs_gets_a_trainer_of_its_own():
    parts = parts_of(panel_of(*waves(3, 60)))
    first = FitCall(parts.test, network_settings(), fit_settings(epochs=1))
    others = [
        replace(first, network=network_settings(units=5)),
        replace(first, training=replace(first.training, error_scale="window")),
        replace(first, task=parts_of(panel_of(*waves(3, 60))).test),
    ]
    trainers = Trainers()
    for other in others:
        first.weights(trainers)
        other.weights(trainers)
    assert len(trainers.idle) == 1 + len(others)
