"""The ledger of a study: one Parquet file per finished trial, the truth that everything else reads."""

from l2rw_ray.results.arrays import (
    read_confusion,
    read_known_noise,
    read_step_series,
    read_test_outcomes,
    read_weight_histograms,
)
from l2rw_ray.results.epochs import Epochs, read_epochs
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.reader import read_history, read_study

__all__ = [
    "Epochs",
    "StudyFolder",
    "read_confusion",
    "read_epochs",
    "read_history",
    "read_known_noise",
    "read_step_series",
    "read_study",
    "read_test_outcomes",
    "read_weight_histograms",
]
