"""Global random generators, torch's, Python's and NumPy's: left alone by probes, replayed by some."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch


@contextmanager
def untouched_generators(device: torch.device) -> Iterator[None]:
    """Leave the global random generators as they were: a probe's dropout must not shift training's."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


@dataclass(frozen=True)
class LibraryGenerators:
    """Where Python's and NumPy's generators stood, from which a user's network may draw.

    A first look at a network, which a resumed training takes again, must not shift them.
    """

    python: Any
    numpy: Any

    @classmethod
    def now(cls) -> "LibraryGenerators":
        """Return the generators' present state; nothing draws from a NumPy that was never imported."""
        numpy = sys.modules.get("numpy")
        return cls(random.getstate(), numpy.random.get_state() if numpy else None)

    def restore(self) -> None:
        """Put the generators back to this state."""
        random.setstate(self.python)
        if self.numpy is not None:
            sys.modules["numpy"].random.set_state(self.numpy)


@contextmanager
def untouched_library_generators() -> Iterator[None]:
    """Leave Python's and NumPy's generators as they were."""
    state = LibraryGenerators.now()
    try:
        yield
    finally:
        state.restore()


@dataclass(frozen=True)
class GeneratorState:
    """Where the generators that a forward on one device draws from stood."""

    device: torch.device
    cpu: torch.Tensor
    cuda: torch.Tensor | None
    libraries: LibraryGenerators

    @classmethod
    def now(cls, device: torch.device) -> "GeneratorState":
        """Return the generators' present state."""
        cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return cls(device, torch.get_rng_state(), cuda, LibraryGenerators.now())

    def restore(self) -> None:
        """Put the generators back to this state."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)
        self.libraries.restore()

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Draw again, inside, what was drawn from this state on; outside nothing changes."""
        with untouched_generators(self.device), untouched_library_generators():
            self.restore()
            yield
