"""Custom trials: a function or a script that trains, called with parameters."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, JsonValue, field_validator

from l2rw_ray.config.code_identity import own_files
from l2rw_ray.config.custom import ImportPath
from l2rw_ray.config.section import Section, conflict
from l2rw_ray.import_path import attribute_name

PARAMS = "params"


class _OwnTrial(Section):
    """What functions and scripts have in common."""

    params: dict[str, JsonValue] = Field(default_factory=dict)
    """Parameters by name. Paths of a design are relative to them: `lr` varies `trial.params.lr`."""
    epochs: int | None = Field(default=None, ge=1)
    """Epochs that a trial reports, for the time left and for `stopping: {name: asha}`; null for
    `params.epochs` where that is a number, else unknown. Changes no result."""

    @property
    def planned_epochs(self) -> int | None:
        """Epochs that the trial reports; None where it does not say."""
        named = self.params.get("epochs")
        is_number = isinstance(named, int) and not isinstance(named, bool) and named > 0
        return self.epochs or (int(str(named)) if is_number else None)

    def __hash__(self) -> int:
        """Hash equal sections equally, though parameters are a dictionary."""
        return hash((type(self), *sorted(self.params)))


class FunctionTrial(_OwnTrial):
    """A training function of your own: `function(trial)`, or with parameters by name."""

    function: ImportPath
    """What a trial runs. It gets a `l2rw_ray.Trial` as `trial`, and `params` by name as far as its signature
    names them."""

    @property
    def title(self) -> str:
        """Name of the function."""
        return attribute_name(self.function)

    @property
    def import_paths(self) -> dict[str, str]:
        """The custom code that the trial names: import paths by field."""
        return {"trial.function": self.function}

    def identity(self) -> dict[str, Any]:
        """Return what determines its result, beside code, seed and resources."""
        return {"function": self.function, PARAMS: dict(self.params)}


class ScriptTrial(_OwnTrial):
    """A command of your own: a script that is called with parameters as options."""

    script: str = Field(min_length=1)
    """Script, or command with its first arguments, such as `train.py` or `bash train.sh --quiet`. Files
    beside the study are found by name; `.py` and `.sh` need no interpreter."""
    files: tuple[str, ...] = ()
    """Further files or folders beside the study that the script reads, sent to the workers with it."""
    options: Literal["--name value", "--name=value", "name=value"] = "--name value"
    """How parameters are written. True is `--name` alone, false and null are left out, and a list is several
    values; with `name=value` all are written as they are."""
    seed_option: str | None = "seed"
    """Name of the option that passes the seed; null passes it in the environment alone, as `L2RW_SEED`."""
    metrics_from: Literal["json_lines", "tensorboard", "wandb", "mlflow"] = "json_lines"
    """Where it writes metrics. `json_lines`: objects such as `{"epoch": 1, "validation_loss": 0.3}`, a line
    each, to the file that `L2RW_METRICS` names; one without an epoch is of the trial's end. Others: the logs
    below the folder that `L2RW_FOLDER` names, read when the script has ended. A metric with several steps is
    one of epochs; one with a single step is final. Runs of `wandb` are offline ones."""

    @field_validator("script")
    @classmethod
    def _script_is_words(cls, script: str) -> str:
        import shlex

        try:
            words = shlex.split(script)
        except ValueError as error:
            raise conflict("", script, f"no command ({error})".lower(), "close its quotes") from error
        if not words or not words[0]:
            raise conflict("", script, "no command", "name a script, such as train.py")
        return script

    @field_validator("seed_option")
    @classmethod
    def _option_is_a_name(cls, name: str | None) -> str | None:
        if name is not None and (not name or name.startswith("-") or any(map(str.isspace, name))):
            raise conflict("", name, "no name of an option", "write it without dashes, such as seed")
        return name

    @property
    def title(self) -> str:
        """Name of the script."""
        return Path(self.words[0] if len(self.words) == 1 else self._file or self.words[0]).name

    @property
    def words(self) -> tuple[str, ...]:
        """The script as words of a command line."""
        import shlex

        return tuple(shlex.split(self.script))

    @property
    def _file(self) -> str | None:
        return next((word for word in self.words if Path(word).suffix), None)

    @property
    def import_paths(self) -> dict[str, str]:
        """No code is imported."""
        return {}

    def identity(self) -> dict[str, Any]:
        """Return what determines its result, beside seed and resources: the command and its files."""
        from l2rw_ray.config.functions.files import script_files

        named = self.model_dump(mode="json", exclude={"epochs"}, exclude_defaults=True)
        return {**named, "contents": content_of(script_files(self))}


OwnTrial = FunctionTrial | ScriptTrial
"""A custom trial."""


def content_of(files: Mapping[str, Path]) -> dict[str, str]:
    """Return the SHA-256 of files, and of all files in folders, by name."""
    found = {}
    for name, place in files.items():
        digest = hashlib.sha256()
        for file in sorted(own_files(place)):
            digest.update(f"{file.relative_to(place.parent).as_posix()}\0".encode())
            digest.update(file.read_bytes())
        found[name] = digest.hexdigest()
    return found
