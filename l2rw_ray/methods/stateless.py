"""Methods whose steps follow from the trial's seed, its data and the step's number alone."""

from typing import Any


class StatelessMethod:
    """A method that has nothing to save in a checkpoint."""

    def state_dict(self) -> dict[str, Any]:
        """Return an empty state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Do nothing: there is no state."""
