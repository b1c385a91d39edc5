"""Plots of memory have axes that a reader can read, and no figure without a line."""

from __future__ import annotations

import re

import numpy as np
import pytest

from forecaster.evaluation.gradient_norms import Memory, NetworkMemory
from forecaster.plotting.memory_plot import memory_plot

pytest.importorskip("matplotlib")


def network(*states, rows=(0.0, 0.02, 0.5)):
    return NetworkMemory("gru", 1, Memory(np.array(rows), tuple(np.array(one) for one in states)))


def labels(page):
    return re.findall(r"<text[^>]*>([^<]*)</text>", page.decode())


@pytest.mark.parametrize("rows", [(0.3, 0.4, 0.5), (1.0, 1.0, 1.0), (0.0, 1e-9, 3e3)])
def test_the_axis_has_plain_powers_of_10(rows):
    page = memory_plot([network([0.1, 0.5, 1.0], rows=rows)], "a.html")
    found = labels(page)
    assert not [one for one in found if "$" in one]
    assert {"0.1", "1"} <= set(found)


@pytest.mark.slow
def test_without_recurrent_layers_there_is_no_figure_of_their_states():
    whole, rows = memory_plot([network([0.1, 1.0])], "a.html"), memory_plot([network()], "a.html")
    assert whole.count(b"<svg") == 2 and rows.count(b"<svg") == 1
    assert memory_plot([network()], "a.png")[:4] == b"\x89PNG"
