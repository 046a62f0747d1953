"""What became of a trial, as far as a study's next step depends on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

INTERRUPTED = "interrupted"
"""Reason of a trial that the user stopped: it goes on in the next run, so it is not done."""


@dataclass(frozen=True, slots=True)
class TrialResult:
    """How a trial ended.

    Attributes:
        status: `completed`, `stopped` or `failed`.
        reason: Why a stopped trial stopped.
        duration_s: Wall time of its training, evaluation and measurement.
        figures: Final figures by name; those that were asked for and that it has.
    """

    status: str
    reason: str | None = None
    duration_s: float = 0.0
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        """Whether the trial is done with, unless failed ones are tried again."""
        return self.reason != INTERRUPTED
