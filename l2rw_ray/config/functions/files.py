"""Files of a script trial, found beside the study file, or on a worker among the code that it was sent."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from l2rw_ray.config.functions.trials import ScriptTrial
from l2rw_ray.errors import InputError
from l2rw_ray.import_path import allowed_imports, looked_in

_INTERPRETERS = ("python", "python3", "bash", "sh")
"""Programs that run the script that follows them."""


def find_file(name: str) -> Path | None:
    """Return a file or folder by its name relative to the study, None where there is none.

    Args:
        name: Relative path; an absolute one is looked up as it is.
    """
    folder = looked_in()
    if Path(name).is_absolute():
        return Path(name) if Path(name).exists() else None
    places = [folder] if folder is not None else [Path(entry) for entry in sys.path if entry]
    return next((place / name for place in places if (place / name).exists()), None)


def script_files(trial: ScriptTrial) -> dict[str, Path]:
    """Return the files that a script trial is made of, by the names that the study gives them.

    Absolute paths are those of installed programs and not among them.

    Args:
        trial: The trial.

    Raises:
        InputError: One is missing, a link, or outside the study's folder; or the script is another program.
    """
    found: dict[str, Path] = {}
    for place, word in enumerate(trial.words):
        file = None if Path(word).is_absolute() else find_file(word)
        if file is not None and file.is_file():
            found[word] = file
        elif place == 0 and Path(word).suffix in (".py", ".sh"):
            raise InputError("trial.script", trial.script, f"no file {word!r}{_beside()}", "fix the path")
    for number, name in enumerate(trial.files):
        file = None if Path(name).is_absolute() else find_file(name)
        if file is None:
            raise InputError(f"trial.files[{number}]", name, f"no such file{_beside()}", "fix the path")
        found[name] = file
    for name, file in found.items():
        if ".." in Path(name).parts:
            raise InputError("trial.script", name, "outside the study's folder", "put it beside the study")
        _refuse_link(name, file)
    _check_program(trial, found)
    return found


def _refuse_link(name: str, file: Path) -> None:
    folder = looked_in()
    if folder is not None and os.path.realpath(file) != os.path.normpath(folder / name):
        raise InputError("trial.script", name, "a link", "put the file itself beside the study")


def _check_program(trial: ScriptTrial, found: Mapping[str, Path]) -> None:
    """Check that a study file from anyone runs a script beside it, which can be read, and no other program.

    Raises:
        InputError: It runs another program, which the user did not allow.
    """
    program, *rest = trial.words
    is_own = program in found or (program in _INTERPRETERS and rest and rest[0] in found)
    if looked_in() is None or is_own or Path(program).name in allowed_imports():
        return
    problem = f"{program!r} is not beside the study, and runs no script that is"
    remedy = f"put the script there, or, if you trust this study, add --allow-import {Path(program).name}"
    raise InputError("trial.script", trial.script, problem, remedy)


def _beside() -> str:
    folder = looked_in()
    return "" if folder is None else f" in {folder}"
