import xml.etree.ElementTree as ET

import pytest

from l2rw_ray.events import WEIGHT_EDGES
from l2rw_ray.report.trial_plots import summarise_trial, write_trial_plots

BINS = len(WEIGHT_EDGES) + 1


def history(epochs=2):
    return [
        {"epoch": epoch, "validation_balanced_accuracy": 0.5, "validation_rmse": None}
        for epoch in range(1, epochs + 1)
    ]


SERIES = [{"epoch": 1, "step": [1, 2], "train_loss": [1.0, None], "effective_sample_size": [None, 3.0]}]
WEIGHTS = [{"epoch": 1, "clean": [1] * BINS, "corrupted": [0] * (BINS - 1) + [2]}]
CONFUSION = {"class_names": ["cat", "<dog>"], "counts": [[3, 1], [0, 4]]}


def test_a_weighed_trial_has_four_figures(tmp_path):
    summary = summarise_trial("l2rw · seed 0", history(), SERIES, WEIGHTS, CONFUSION)
    assert summary.metric == "validation_balanced_accuracy"
    assert summary.measured == ((1, 0.5), (2, 0.5))
    assert summary.corrupted.sum() == 2
    files = write_trial_plots(summary, tmp_path)
    assert files == [
        "learning_curves.svg",
        "weights_over_time.svg",
        "clean_against_corrupted.svg",
        "confusion_matrix.svg",
    ]
    texts = {file: "".join(ET.parse(tmp_path / file).getroot().itertext()) for file in files}
    assert all("l2rw · seed 0" in text for text in texts.values())
    assert "<dog>" in texts["confusion_matrix.svg"]
    assert "wrong labels" in texts["clean_against_corrupted.svg"]
    assert sum((tmp_path / file).stat().st_size for file in files) < 200_000


@pytest.mark.parametrize("clean", [[0] * BINS, [1] * BINS])
def test_kinds_of_labels_are_compared_where_there_are_two(tmp_path, clean):
    weights = [{"epoch": 1, "clean": clean, "corrupted": [2 - 2 * clean[0]] * BINS}]
    files = write_trial_plots(summarise_trial("a", [], [], weights, None), tmp_path)
    assert files == ["weights_over_time.svg"]


def test_a_trial_of_an_older_ledger_has_its_curve_only(tmp_path):
    summary = summarise_trial("a", history(), [], [], None)
    assert write_trial_plots(summary, tmp_path) == ["learning_curves.svg"]


def test_a_trial_that_failed_at_once_has_no_figure(tmp_path):
    assert write_trial_plots(summarise_trial("a", [], [], [], None), tmp_path) == []
