"""Disable Tune's progress output; the run prints its own."""

from typing import Any

from ray.tune import ProgressReporter
from ray.tune.progress_reporter import TrialProgressCallback


class NullProgressReporter(ProgressReporter):  # type: ignore[misc]  # its base is not typed
    """Replaces Tune's table of trials."""

    def should_report(self, trials: list[Any], done: bool = False) -> bool:
        """Return False."""
        return False

    def report(self, trials: list[Any], done: bool, *sys_info: dict[str, Any]) -> None:
        """Print nothing."""


class NullProgressCallback(TrialProgressCallback):  # type: ignore[misc]  # its base is not typed
    """Replaces Tune's callback that prints the end of every trial."""

    def log_result(self, *arguments: Any, **named: Any) -> None:
        """Print nothing."""

    def _print(self, msg: str) -> None:
        """Print nothing."""
