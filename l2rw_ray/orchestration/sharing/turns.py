"""How long a run keeps its worker groups where there is not room for a group of each run at the same time."""

from dataclasses import dataclass

FIRST_TURN_S = 15.0
"""Length of the first turn of a run with priority 1. Each turn is twice as long as the one before, so that
starting worker groups takes an ever smaller share of the time."""
LONGEST_TURN_S = 480.0


@dataclass
class TurnClock:
    """Measures the turns of a run, each from the start of its first trial.

    Args:
        priority: Weight of the run; its turns are longer by this factor.
    """

    priority: float
    _length_s: float = FIRST_TURN_S
    _began: float | None = None
    _is_given_up: bool = False

    def update(self, now: float, *, is_training: bool, holds_any: bool) -> None:
        """Record whether the run is training, and whether it holds any worker group."""
        if not holds_any:
            if self._is_given_up:
                self._length_s = min(2 * self._length_s, LONGEST_TURN_S)
            self._began, self._is_given_up = None, False
        elif is_training and self._began is None:
            self._began = now

    def is_over(self, now: float) -> bool:
        """Return whether another run may have the next turn."""
        return self._began is not None and now - self._began >= self._length_s * self.priority

    def give_up(self) -> None:
        """Record that worker groups leave because the turn is over."""
        self._is_given_up = True
