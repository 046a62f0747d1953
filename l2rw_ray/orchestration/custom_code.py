"""Import a study's custom code, send it to the workers, and check that they have the same."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from l2rw_ray.config import FunctionTrial, PlannedTrial, ScriptTrial, trial_fingerprint
from l2rw_ray.config.code_identity import own_files
from l2rw_ray.config.functions.files import script_files
from l2rw_ray.config.functions.signature import check_params, signature_of
from l2rw_ray.errors import InfrastructureError
from l2rw_ray.import_path import is_local, load, locate


def import_custom_code(trials: Sequence[PlannedTrial]) -> None:
    """Import everything that these trials name by an import path, and check the parameters of functions.

    Raises:
        InputError: A module or attribute is missing, cannot be called, or raises when imported; a function
            has no such parameter, or takes another type.
    """
    for path, field in _import_paths(trials).items():
        load(path, field)
    for trial in trials:
        config = trial.config
        if isinstance(config, FunctionTrial):
            function = load(config.function, "trial.function")
            check_params(trial, config.params, signature_of(function, config.function, config.params))


def stage_custom_code(trials: Sequence[PlannedTrial], folder: Path) -> Path | None:
    """Copy the custom packages and scripts that workers need into a folder; installed ones are left out.

    Args:
        trials: Trials that name the packages.
        folder: Folder to create.

    Returns:
        The folder; None when there is nothing to send.

    Raises:
        InputError: A module or a file is missing, or one is a link.
    """
    locations = {locate(path, field) for path, field in _import_paths(trials).items()}
    custom = {location.name: location for location in locations if is_local(location)}
    for config in {trial.config for trial in trials if isinstance(trial.config, ScriptTrial)}:
        custom |= script_files(config)
    for name, location in custom.items():
        for file in own_files(location):
            target = folder / name / file.relative_to(location)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target, follow_symlinks=False)
    return folder if custom else None


def check_same_code(trial: PlannedTrial) -> None:
    """Check that this worker has the custom code that the run was started with.

    Raises:
        InfrastructureError: The code, or the release of an installed package, differs.
        InputError: A module is missing.
    """
    is_script = isinstance(trial.config, ScriptTrial)
    names = trial.config.title if is_script else ", ".join(trial.config.import_paths.values())
    if names and trial_fingerprint(trial.config, trial.seed, trial.resources) != trial.trial_id:
        raise InfrastructureError(
            f"a worker's code for {names} differs from the code that the run was started with: "
            "do not edit code while a run starts, and install the same packages on every node"
        )


def _import_paths(trials: Sequence[PlannedTrial]) -> dict[str, str]:
    """Return the fields of these trials by their import paths."""
    return {path: field for trial in trials for field, path in trial.config.import_paths.items()}
