"""Keeping Ray Tune from telling progress: the run has a display of its own."""

from typing import Any

from ray.tune import ProgressReporter
from ray.tune.progress_reporter import TrialProgressCallback


class NullProgressReporter(ProgressReporter):  # type: ignore[misc]  # its base is not typed
    """Says nothing."""

    def should_report(self, trials: list[Any], done: bool = False) -> bool:
        """Never."""
        return False

    def report(self, trials: list[Any], done: bool, *sys_info: dict[str, Any]) -> None:
        """Nothing."""


class NullProgressCallback(TrialProgressCallback):  # type: ignore[misc]  # its base is not typed
    """Stands where Tune would put a callback that prints the end of every trial."""

    def log_result(self, *arguments: Any, **named: Any) -> None:
        """Nothing."""

    def _print(self, msg: str) -> None:
        """Nothing."""
