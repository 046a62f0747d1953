"""The user's own code that a study names: importing it here, and the same on every worker."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from l2rw_ray.config import PlannedTrial, trial_fingerprint
from l2rw_ray.errors import InfrastructureError
from l2rw_ray.import_path import is_local, load, locate


def import_custom_code(trials: Sequence[PlannedTrial]) -> None:
    """Import everything that these trials name by an import path.

    Raises:
        InputError: A module or attribute is missing, is nothing to call, or raises when imported.
    """
    for path, field in _import_paths(trials).items():
        load(path, field)


def stage_custom_code(trials: Sequence[PlannedTrial], folder: Path) -> Path | None:
    """Copy the packages that workers need sent: the user's own, not the installed.

    Args:
        trials: The trials that name them.
        folder: A folder that is made for them.

    Returns:
        The folder; None where nothing is to be sent.

    Raises:
        InputError: There is no such module.
    """
    places = {locate(path, field) for path, field in _import_paths(trials).items()}
    own = [place for place in places if is_local(place)]
    for place in own:
        folder.mkdir(parents=True, exist_ok=True)
        if place.is_dir():
            shutil.copytree(place, folder / place.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, folder)
    return folder if own else None


def check_same_code(trial: PlannedTrial) -> None:
    """Refuse a trial on a worker that finds other code than the run was started with.

    Raises:
        InfrastructureError: It does, or another release of an installed package.
        InputError: It does not find it.
    """
    names = ", ".join(trial.config.import_paths.values())
    if names and trial_fingerprint(trial.config, trial.seed, trial.resources) != trial.trial_id:
        raise InfrastructureError(
            f"a worker finds other code for {names} than the run was started with: "
            "edit nothing while a run starts, and install the same packages on every node"
        )


def _import_paths(trials: Sequence[PlannedTrial]) -> dict[str, str]:
    """Field by import path."""
    return {path: field for trial in trials for field, path in trial.config.import_paths.items()}
