"""Epochs are read as columns that say the same as `read_history`."""

import numpy as np
import pytest

from l2rw_ray.results import epochs as module
from l2rw_ray.results import read_epochs, read_history
from tests.results.test_writer import ended, epoch, started


def test_columns_hold_what_the_history_does(writer, folder, planned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TRIALS_AT_ONCE", 2)
    for place, trial in enumerate(planned):
        writer(started(trial.trial_id))
        for number in range(1, place + 1):
            writer(epoch(trial.trial_id, number, 0.1 * number))
        writer(ended(trial.trial_id))
    found = read_epochs(folder.path, lambda name: name.startswith("validation_"))
    assert set(found.metrics) == {"validation_balanced_accuracy"}
    history = read_history(folder.path)
    for trial in planned:
        place = found.places[trial.trial_id]
        own = history.filter([each == trial.trial_id for each in history["trial_id"].to_pylist()])
        assert found.epoch[place].tolist() == own["epoch"].to_pylist()
        assert found.duration_s[place].tolist() == own["duration_s"].to_pylist()
        values = found.metrics["validation_balanced_accuracy"][place]
        np.testing.assert_array_equal(values, own["validation_balanced_accuracy"].to_numpy())


def test_a_ledger_without_epochs_has_none(writer, folder, planned) -> None:
    assert read_epochs(folder.path, bool).places == {}
    writer(started(planned[0].trial_id))
    writer(ended(planned[0].trial_id))
    found = read_epochs(folder.path, bool)
    assert found.places == {planned[0].trial_id: slice(0, 0)}
    assert len(found.epoch) == 0
