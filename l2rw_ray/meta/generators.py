"""Torch's global random generators: left alone by probes, and replayed where masks must agree."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@contextmanager
def untouched_generators(device: torch.device) -> Iterator[None]:
    """Leave the global random generators as they were: a probe's dropout must not shift training's."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


@dataclass(frozen=True)
class GeneratorState:
    """Where the generators that a forward on one device draws from stood."""

    device: torch.device
    cpu: torch.Tensor
    cuda: torch.Tensor | None

    @classmethod
    def now(cls, device: torch.device) -> "GeneratorState":
        """Their present state."""
        cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return cls(device, torch.get_rng_state(), cuda)

    def equals(self, other: "GeneratorState") -> bool:
        """Whether nothing has been drawn from one to the other."""
        same = torch.equal(self.cpu, other.cpu)
        if self.cuda is None or other.cuda is None:
            return same
        return same and torch.equal(self.cuda, other.cuda)

    def restore(self) -> None:
        """Put the generators back to this state."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Draw again, inside, what was drawn from this state on; outside nothing changes."""
        with untouched_generators(self.device):
            self.restore()
            yield
