"""Histograms, step series and confusion matrices, from event to table, and ledgers written before them."""

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2rw_ray.events import (
    ConfusionMatrix,
    EpochCompleted,
    ExampleOutcomes,
    KnownNoise,
    StepSeries,
    TrialEnded,
    TrialStarted,
    TrialStatus,
    WeightHistogram,
    without_arrays,
)
from l2rw_ray.results import (
    StudyFolder,
    read_confusion,
    read_history,
    read_known_noise,
    read_step_series,
    read_study,
    read_test_outcomes,
    read_weight_histograms,
)
from l2rw_ray.results.schema import ARRAYS

PUBLISHED = Path(__file__).parents[2] / "reports"
WEIGHTS = WeightHistogram((3, 0), (0, 2))
SERIES = StepSeries((10, 20), (0.5, None), (None, 4.0))
READERS = (
    *(read_weight_histograms, read_step_series, read_confusion),
    *(read_known_noise, read_test_outcomes),
)
OUTCOMES = ExampleOutcomes((6, 4), bytes([0b11111011, 0b11000000]))
CONFUSION = ConfusionMatrix(("cat", "dog"), ((5, 1), (0, 4)))


def epoch(trial_id, number, weights=WEIGHTS):
    return EpochCompleted(trial_id, number, 10 * number, 1.5, {"train_loss": 0.5}, weights, SERIES)


def started(trial_id, history=()):
    return TrialStarted(trial_id, 1, 1, "cpu", "2 × CPU", 900, 3, {}, {}, history)


def test_arrays_come_back_with_their_trial(writer, folder, planned):
    trial_id = planned[2].trial_id
    end = TrialEnded(trial_id, TrialStatus.COMPLETED, 2, 20, 4.5, confusion=CONFUSION, outcomes=OUTCOMES)
    for event in (started(trial_id), epoch(trial_id, 1), epoch(trial_id, 2, None), end):
        writer(event)
    writer(TrialEnded(planned[0].trial_id, TrialStatus.COMPLETED, 3, 30, 4.5))
    own = {"trial_id": trial_id, "seed": 0, "factor.method.name": "l2rw"}
    weights = {"clean": [3, 0], "corrupted": [0, 2], "unverified": []}
    assert read_weight_histograms(folder.path).to_pylist() == [{**own, "epoch": 1, **weights}]
    series = {"step": [10, 20], "train_loss": [0.5, None], "effective_sample_size": [None, 4.0]}
    assert read_step_series(folder.path).to_pylist() == [{**own, "epoch": n, **series} for n in (1, 2)]
    confusion = {"class_names": ["cat", "dog"], "counts": [[5, 1], [0, 4]]}
    assert read_confusion(folder.path).to_pylist() == [{**own, **confusion}]
    outcomes = {"class_counts": [6, 4], "correct": OUTCOMES.correct, "errors": b""}
    assert read_test_outcomes(folder.path).to_pylist() == [{**own, **outcomes}]
    assert not {"confusion", "test_outcomes"} & set(read_study(folder.path).column_names)


def test_known_noise_comes_back_with_its_trial(writer, folder, planned):
    trial_id = planned[2].trial_id
    noise = KnownNoise(10, 2, CONFUSION, None, 4, 1)
    writer(replace(started(trial_id), known_noise=noise))
    writer(TrialEnded(trial_id, TrialStatus.COMPLETED, 2, 20, 4.5))
    (row,) = read_known_noise(folder.path).to_pylist()
    confusion = {"class_names": ["cat", "dog"], "counts": [[5, 1], [0, 4]]}
    assert row == {
        "trial_id": trial_id,
        "seed": 0,
        "factor.method.name": "l2rw",
        "confusion": confusion,
        "examples": 10,
        "wrong": 2,
        "rmse": None,
        "train_examples": 4,
        "train_wrong": 1,
    }


def test_histograms_written_before_unverified_labels_are_readable(writer, folder, planned):
    trial_id = planned[0].trial_id
    writer(started(trial_id))
    writer(epoch(trial_id, 1))
    writer(TrialEnded(trial_id, TrialStatus.COMPLETED, 1, 10, 4.5))
    rows = pq.read_table(folder.trial_file(trial_id))
    old = pa.list_(
        pa.struct([("epoch", pa.int64()), *((kind, pa.list_(pa.int64())) for kind in ("clean", "corrupted"))])
    )
    values = [
        [{name: entry[name] for name in ("epoch", "clean", "corrupted")} for entry in row]
        for row in rows["weight_histograms"].to_pylist()
    ]
    place = rows.column_names.index("weight_histograms")
    pq.write_table(
        rows.set_column(place, "weight_histograms", pa.array(values, old)), folder.trial_file(trial_id)
    )
    (row,) = read_weight_histograms(folder.path).to_pylist()
    assert (row["clean"], row["corrupted"], row["unverified"]) == ([3, 0], [0, 2], None)


def test_a_resumed_trial_has_the_arrays_of_all_its_epochs(writer, folder, planned):
    trial_id = planned[0].trial_id
    writer(started(trial_id, history=(epoch(trial_id, 1),)))
    writer(epoch(trial_id, 2))
    writer(TrialEnded(trial_id, TrialStatus.COMPLETED, 2, 20, 4.5))
    assert read_step_series(folder.path)["epoch"].to_pylist() == [1, 2]
    assert read_weight_histograms(folder.path)["epoch"].to_pylist() == [1, 2]


def test_who_keeps_many_events_keeps_their_figures():
    kept = without_arrays(started("a", history=(epoch("a", 1),)))
    assert kept.history == (without_arrays(epoch("a", 1)),)
    assert (kept.history[0].weights, kept.history[0].series) == (None, None)
    assert kept.history[0].metrics == {"train_loss": 0.5}
    end = TrialEnded("a", TrialStatus.COMPLETED, 2, 20, 4.5, confusion=CONFUSION, outcomes=OUTCOMES)
    assert (without_arrays(end).confusion, without_arrays(end).outcomes) == (None, None)


def test_an_empty_ledger_has_no_arrays(folder):
    for read in READERS:
        assert read(folder.path).num_rows == 0


@pytest.fixture
def first_release(tmp_path):
    """A study folder as version 0.1 wrote it: a file per trial, without the columns added since."""
    source, folder = PUBLISHED / "bias-level", StudyFolder(tmp_path / "bias-level")
    folder.create()
    for file in ("study.yaml", "plan.json"):
        shutil.copy(source / file, folder.path)
    rows = pq.read_table(source / "trials" / "all.parquet")
    rows = rows.drop_columns([name for name in (*ARRAYS, "split_sizes", "log") if name in rows.column_names])
    for number, trial_id in enumerate(rows["trial_id"].to_pylist()):
        pq.write_table(rows.slice(number, 1), folder.trial_file(trial_id), compression="zstd")
    return folder


def test_ledgers_written_before_are_readable(first_release):
    study = read_study(first_release.path)
    assert set(study["schema_version"].to_pylist()) == {1}
    assert study.equals(read_study(PUBLISHED / "bias-level"))
    assert read_history(first_release.path).equals(read_history(PUBLISHED / "bias-level"))
    for read in READERS:
        assert read(first_release.path).num_rows == 0
