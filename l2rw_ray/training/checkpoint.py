"""Where a trial goes on after its worker was lost."""

import os
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from l2rw_ray.events import EpochCompleted, StepSeries, WeightHistogram


class CheckpointStore:
    """The one checkpoint file of a trial.

    Args:
        folder: The study's checkpoint folder, reachable from every node that may run the trial.
        trial_id: The trial's fingerprint.
    """

    def __init__(self, folder: Path, trial_id: str) -> None:
        self._path = folder / f"{trial_id}.pt"

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint in one step: a reader sees the old one or the new one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(f".{os.getpid()}.tmp")
        with draft.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)

    def load(self) -> dict[str, Any] | None:
        """The last saved state; None when there is none or it cannot be read."""
        try:
            state: dict[str, Any] = torch.load(self._path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            return None
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError):
            return None  # cut short or damaged: training starts afresh, which costs time only
        return state


def restored_history(saved: Iterable[Mapping[str, Any]]) -> list[EpochCompleted]:
    """The epochs that a checkpoint holds as dictionaries; older ones have neither weights nor series."""
    parts = {"weights": WeightHistogram, "series": StepSeries}
    return [
        EpochCompleted(
            **{
                name: parts[name](**value) if name in parts and value else value
                for name, value in epoch.items()
            }
        )
        for epoch in saved
    ]
