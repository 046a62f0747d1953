"""Outcomes of the test examples of a trial, and how much each moves a test metric.

Shape suffixes: N test examples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report.design_points.points import Outcome
from l2rw_ray.results import read_test_outcomes

_ERRORS, _ERROR_BYTES = "<f4", 4


@dataclass(frozen=True, eq=False, slots=True)
class ExampleResults:
    """The test examples of one trial.

    Attributes:
        test_hash: Hash of the rows of its test set.
        class_counts: Numbers of examples by true class; empty for a regression.
        stored: Their outcomes, as the ledger stores them.
    """

    test_hash: str
    class_counts: tuple[int, ...]
    stored: bytes

    @classmethod
    def of(cls, test_hash: str, row: Mapping[str, Any]) -> Self:
        """Return what a row of `read_test_outcomes` holds.

        Args:
            test_hash: Hash of the rows of the test set.
            row: The row.

        Raises:
            StudyFolderError: Numbers of examples and their outcomes do not agree.
        """
        counts = tuple(row["class_counts"] or ())
        stored = (row["correct"] if counts else row["errors"]) or b""
        if any(count is None or count < 0 for count in counts):
            raise _damaged(row)
        if len(stored) != -(-sum(counts) // 8) if counts else not stored or len(stored) % _ERROR_BYTES:
            raise _damaged(row)
        return cls(test_hash, counts, stored)

    @property
    def test_set(self) -> tuple[str, tuple[int, ...], int]:
        """What tells its test set from others."""
        return self.test_hash, self.class_counts, self.examples

    @property
    def examples(self) -> int:
        """Number of test examples."""
        return sum(self.class_counts) or len(self.stored) // _ERROR_BYTES

    @property
    def values_N(self) -> np.ndarray:  # noqa: N802  # the suffix is a shape
        """Whether the class was predicted, classes ascending; of a regression the errors; float64."""
        if not self.class_counts:
            return np.frombuffer(self.stored, _ERRORS).astype(np.float64)
        bits = np.frombuffer(self.stored, np.uint8)
        return np.unpackbits(bits, count=self.examples).astype(np.float64)

    def influence(self, metric: str) -> np.ndarray | None:
        """Return how much each example moves a test metric, times N, with a mean of zero.

        Args:
            metric: Name of the metric.

        Returns:
            Float64 [N]; None for a metric that is no smooth function of its examples, or a custom one.
        """
        of_metric = _OF_CLASSES if self.class_counts else _OF_TARGETS
        found = of_metric.get(metric)
        return None if found is None else found(self.values_N, self.class_counts)


def _damaged(row: Mapping[str, Any]) -> StudyFolderError:
    problem, remedy = "numbers of examples and their outcomes do not agree", "delete its file to run it again"
    return StudyFolderError("test_outcomes of trial", row["trial_id"], problem, remedy)


def _accuracy(right_N: np.ndarray, _: Sequence[int]) -> np.ndarray:
    return _centred(right_N)


def _balanced_accuracy(right_N: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """Return N / (C n) times the deviation from the recall of the class, of n examples, corrected for n."""
    occurring, parts = [count for count in counts if count], []
    for right_n in np.split(right_N, np.cumsum(occurring)[:-1]):
        n = len(right_n)
        small = np.sqrt(n / (n - 1)) if n > 1 else 0.0  # a class of one example tells nothing of its spread
        parts.append(len(right_N) / (len(occurring) * n) * small * _centred(right_n))
    return np.concatenate(parts)


def _rmse(errors_N: np.ndarray, _: Sequence[int]) -> np.ndarray:
    squares_N = np.square(errors_N)
    rmse = float(np.sqrt(squares_N.mean()))
    return _centred(squares_N) / (2 * rmse) if rmse else np.zeros_like(errors_N)


def _mae(errors_N: np.ndarray, _: Sequence[int]) -> np.ndarray:
    return _centred(np.abs(errors_N))


def _centred(values_N: np.ndarray) -> np.ndarray:
    return values_N - float(values_N.mean())


_OF_CLASSES = {"test_accuracy": _accuracy, "test_balanced_accuracy": _balanced_accuracy}
_OF_TARGETS = {"test_rmse": _rmse, "test_mae": _mae}


def with_example_results(outcomes: Sequence[Outcome], directory: Path) -> list[Outcome]:
    """Return trials with the outcomes of their test examples, where their ledger has them.

    Args:
        outcomes: The trials.
        directory: The study folder.

    Raises:
        StudyFolderError: A trial's file may not be read, or what it holds of test examples is damaged.
    """
    rows = {row["trial_id"]: row for row in read_test_outcomes(directory).to_pylist()}
    return [
        replace(outcome, tested=ExampleResults.of(digest, rows[outcome.trial_id]))
        if outcome.trial_id in rows and (digest := (outcome.row or {}).get("split_hash_test"))
        else outcome
        for outcome in outcomes
    ]
