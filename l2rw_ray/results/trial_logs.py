"""The files that a trial's workers write to the study folder's `logs`."""

from contextlib import suppress
from pathlib import Path


def log_file(logs: Path, trial_id: str, rank: int) -> Path:
    """Return the file of a rank's standard output and error."""
    return logs / f"{_stem(trial_id, rank)}.log"


def stacks_file(logs: Path, trial_id: str, rank: int) -> Path:
    """Return the file of a rank's stacks, written when the rank had to be killed."""
    return logs / f"{_stem(trial_id, rank)}.stacks"


def found_log(logs: Path, trial_id: str, workers: int) -> Path | None:
    """Return the log of the first rank with any output; None where there is none or it is out of reach."""
    files = (log_file(logs, trial_id, rank) for rank in range(workers))
    return next((file for file in files if _size(file)), None)


def taken_stacks(logs: Path, trial_id: str, workers: int) -> str | None:
    """Remove all files of stacks, and return the stacks of the first rank that has any."""
    texts = []
    for rank in range(workers):
        with suppress(OSError):  # there is none, or it is out of reach
            file = stacks_file(logs, trial_id, rank)
            texts.append(file.read_text(encoding="utf-8", errors="replace"))
            file.unlink()
    return next(filter(None, texts), None)


def _stem(trial_id: str, rank: int) -> str:
    return f"{trial_id}.rank{rank}" if rank else trial_id


def _size(file: Path) -> int:
    with suppress(OSError):
        return file.stat().st_size
    return 0
