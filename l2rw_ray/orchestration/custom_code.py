"""Import a study's custom code, send it to the workers, and check that they have the same."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from l2rw_ray.config import PlannedTrial, trial_fingerprint
from l2rw_ray.errors import InfrastructureError
from l2rw_ray.import_path import is_local, load, locate


def import_custom_code(trials: Sequence[PlannedTrial]) -> None:
    """Import everything that these trials name by an import path.

    Raises:
        InputError: A module or attribute is missing, cannot be called, or raises when imported.
    """
    for path, field in _import_paths(trials).items():
        load(path, field)


def stage_custom_code(trials: Sequence[PlannedTrial], folder: Path) -> Path | None:
    """Copy the custom packages that workers need into a folder; installed packages are left out.

    Args:
        trials: Trials that name the packages.
        folder: Folder to create.

    Returns:
        The folder; None when there is nothing to send.

    Raises:
        InputError: A module is missing.
    """
    locations = {locate(path, field) for path, field in _import_paths(trials).items()}
    custom = [location for location in locations if is_local(location)]
    for location in custom:
        folder.mkdir(parents=True, exist_ok=True)
        if location.is_dir():
            shutil.copytree(location, folder / location.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(location, folder)
    return folder if custom else None


def check_same_code(trial: PlannedTrial) -> None:
    """Check that this worker has the custom code that the run was started with.

    Raises:
        InfrastructureError: The code, or the release of an installed package, differs.
        InputError: A module is missing.
    """
    names = ", ".join(trial.config.import_paths.values())
    if names and trial_fingerprint(trial.config, trial.seed, trial.resources) != trial.trial_id:
        raise InfrastructureError(
            f"a worker's code for {names} differs from the code that the run was started with: "
            "do not edit code while a run starts, and install the same packages on every node"
        )


def _import_paths(trials: Sequence[PlannedTrial]) -> dict[str, str]:
    """Return the fields of these trials by their import paths."""
    return {path: field for trial in trials for field, path in trial.config.import_paths.items()}
