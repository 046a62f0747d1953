"""A progress reporter for Ray Tune that reports nothing: the run has a display of its own."""

from typing import Any

from ray.tune import ProgressReporter


class SilentReporter(ProgressReporter):  # type: ignore[misc]  # its base is not typed
    """Says nothing."""

    def should_report(self, trials: list[Any], done: bool = False) -> bool:
        """Never."""
        return False

    def report(self, trials: list[Any], done: bool, *sys_info: dict[str, Any]) -> None:
        """Nothing."""
