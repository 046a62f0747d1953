"""What a mirror remembers of a run that a store has: of 100,000 whole runs, memory would be full."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from l2rw_ray.tracking.runs import PLANNED

FILES, OUTCOME = "l2rw.files", "l2rw.outcome"
"""Tags: whether files are attached, and which outcome a run has."""
ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})
_READ = (FILES, OUTCOME, PLANNED)


@dataclass
class MirroredRun:
    """A run of a trial or a design point.

    Attributes:
        run_id: MLflow's identifier.
        status: MLflow's status.
        tags: Those that the mirror reads.
        metrics: The latest value of each metric; empty for a trial.
    """

    run_id: str
    status: str
    tags: dict[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is written to it."""
        return self.status in ENDED


def read_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that the mirror reads."""
    return {name: tags[name] for name in _READ if name in tags}
