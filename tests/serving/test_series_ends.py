"""The last timestamp of each series of a training, and which series a sample has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecaster.data.panel import fingerprint
from forecaster.data.series_sample import SampleOptions, sampled
from forecaster.errors import ArtifactError
from forecaster.serving.manifest import write_manifest
from forecaster.serving.open_model import Opened
from forecaster.serving.series_ends import ENDS, as_in_training, trained_until, write_ends
from tests.serving.test_manifest import MANIFEST
from tests.support.factories import panel_of


def test_each_series_keeps_its_own_end(tmp_path):
    write_ends(tmp_path, panel_of([1.0, 2.0], [3.0, 4.0]))
    assert not (tmp_path / ENDS).exists()
    write_ends(tmp_path, panel_of([1.0, 2.0], [3.0, 4.0, 5.0]))
    (tmp_path / "calibration.npz").write_bytes(b"of the same version")
    whole = write_manifest(tmp_path, MANIFEST)
    last = MANIFEST.data.last
    assert trained_until(tmp_path, whole, ["s1", "new", "s0"]).tolist() == [2, last, 1]
    assert trained_until(tmp_path, MANIFEST, ["s1"]).tolist() == [last]
    (tmp_path / ENDS).write_bytes(b"other bytes")
    with pytest.raises(ArtifactError, match=r"'ends.npz' is damaged"):
        trained_until(tmp_path, whole, ["s1"])


def test_the_series_of_a_sample_are_found_again_in_the_same_data_alone(tmp_path):
    panel = panel_of(*[np.arange(10.0) + n for n in range(10)])
    taken = sampled(panel, SampleOptions(30, 0))
    write_ends(tmp_path, taken)
    facts = replace(MANIFEST.data, sample=taken.sample, sha256=fingerprint(taken))
    opened = Opened(tmp_path, 1, write_manifest(tmp_path, replace(MANIFEST, data=facts)))
    assert as_in_training(opened, panel).series.tolist() == taken.series.tolist()
    other = replace(panel, target=panel.target + 1.0)
    assert as_in_training(opened, other) is other
    assert as_in_training(Opened(tmp_path, 1, MANIFEST), panel) is panel
