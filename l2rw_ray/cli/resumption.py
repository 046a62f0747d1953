"""Say what a run takes over from earlier ones: finished trials, checkpoints, trials of other settings."""

import math
from collections.abc import Callable, Mapping

from l2rw_ray.cli.plain_characters import say
from l2rw_ray.config import PlannedTrial
from l2rw_ray.events import Event, TrialStarted
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.reader import earlier_trials
from l2rw_ray.results.status import count_ended
from l2rw_ray.tracking.runs import trial_name

_MAX_NAMED = 3
"""Trials of earlier settings that are named; their number is always given."""


class Resumption:
    """Observer that says from which epoch trials go on.

    Args:
        trials: Trials by id; it may grow.
        say: Prints a line.
    """

    def __init__(self, trials: Mapping[str, PlannedTrial], say: Callable[[str], object]) -> None:
        self._trials, self._say = trials, say

    def __call__(self, event: Event) -> None:
        """Name a trial that starts with epochs of an earlier attempt."""
        if isinstance(event, TrialStarted) and event.history:
            label = self._trials[event.trial_id].label
            self._say(f"resumed  {label} goes on from epoch {math.floor(event.history[-1].epoch) + 1}")


def done_before(folder: StudyFolder, planned: int | None = None, left: int | None = None) -> str | None:
    """Return a line that tells how many trials need not be run; None where there are none.

    Args:
        folder: The study folder, with the plan of this run.
        planned: Number of trials; None where the design decides as it goes.
        left: Number of trials that will run; as `planned`.
    """
    if planned is not None and left is not None:
        return f"resumed  {planned - left} of {planned} trials were done before" if left < planned else None
    done = count_ended(folder.path)
    trials = "1 trial was" if done == 1 else f"{done} trials were"
    return f"resumed  {trials} done before" if done else None


def earlier_settings(folder: StudyFolder) -> str | None:
    """Return a line that names the ledger's trials that the study no longer plans; None without any."""
    rows = [row for row in earlier_trials(folder.path) if row["status"] == "completed"]
    if not rows:
        return None
    named = ", ".join(sorted(map(trial_name, rows))[:_MAX_NAMED])
    more = f" and {len(rows) - _MAX_NAMED} more" if len(rows) > _MAX_NAMED else ""
    trials = "1 trial" if len(rows) == 1 else f"{len(rows)} trials"
    return f"earlier  {trials} of earlier settings left out: {named}{more}"


def say_earlier(folder: StudyFolder) -> None:
    """Name the trials of earlier settings, which reports and mirrors leave out, on standard error."""
    line = earlier_settings(folder)
    if line:
        say(line, error=True)
