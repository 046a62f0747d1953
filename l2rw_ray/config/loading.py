"""Read a study file, with overrides, into a validated specification."""

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from ruamel.yaml import YAML

from l2rw_ray.config.functions.any_trial import AnyTrial, class_of
from l2rw_ray.config.overrides import Tree, assign
from l2rw_ray.config.run_options import Resources
from l2rw_ray.config.section import Section
from l2rw_ray.config.study import StudySpec
from l2rw_ray.config.validation_errors import as_config_error
from l2rw_ray.config.yaml_text import MAX_CHARACTERS, parse_yaml
from l2rw_ray.errors import ConfigError
from l2rw_ray.import_path import look_in

_Section = TypeVar("_Section", bound=Section)


def load_study(
    path: Path | str, overrides: Sequence[str] = (), *, allow_import: Sequence[str] = ()
) -> StudySpec:
    """Read a study file. Import paths in it are from now on looked up in the file's folder.

    Args:
        path: YAML file.
        overrides: `path=value` assignments applied before validation, values in YAML.
        allow_import: Packages of the environment that the study may name, besides those that declare
            themselves as made for studies.

    Raises:
        ConfigError: The file is missing, is no YAML, or fails validation.
    """
    look_in(Path(path).parent, allow_import)
    spec = read_study_file(Path(path), overrides)
    misfit = spec.objective_misfit(is_regression=spec.is_regression)
    if misfit is not None:
        raise ConfigError(*misfit)
    return spec


def read_study_file(path: Path, overrides: Sequence[str] = ()) -> StudySpec:
    """Read a study file without changing where import paths are looked up.

    An objective that is optimised the wrong way is accepted: study folders of before hold such.

    Args:
        path: YAML file.
        overrides: `path=value` assignments applied before validation, values in YAML.

    Raises:
        ConfigError: The file is missing, is no YAML, or fails validation.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise ConfigError("study file", path, reason, "give the path of a YAML file") from error
    except UnicodeDecodeError as error:
        raise ConfigError("study file", path, "not UTF-8 text", "save it as UTF-8") from error
    tree = parse_yaml(text, str(path))
    if not isinstance(tree, dict):
        raise ConfigError("study file", path, "holds no fields", "see studies/demo.yaml for the form")
    for override in overrides:
        field, equals, value = override.partition("=")
        if not equals or not field:
            raise ConfigError("--set", override, "not of the form path=value", "try --set seeds=2")
        tree = assign(tree, field, parse_yaml(value, f"--set {field}"), StudySpec)
    return parse_study(tree)


def parse_study(tree: Tree) -> StudySpec:
    """Validate a study given as nested dictionaries.

    Keys that begin with `x-` are left out: what a file's anchors are attached to may stand there.

    Raises:
        ConfigError: A field is unknown, missing, of the wrong type, out of range or in conflict.
    """
    own = {key: value for key, value in tree.items() if not str(key).startswith("x-")}
    try:
        return StudySpec.model_validate(own)
    except ValidationError as error:
        raise as_config_error(error, StudySpec) from error


def parse_trial(tree: Tree, origin: str) -> AnyTrial:
    """Validate the trial of one design point.

    Args:
        tree: The trial as nested dictionaries.
        origin: Which levels led to it, for the error message.

    Raises:
        ConfigError: The levels of this point do not make a valid trial.
    """
    return _parse_point(class_of(tree), tree, "trial", origin)


def parse_resources(tree: Tree, origin: str) -> Resources:
    """Validate the resources of one design point; see `parse_trial`."""
    return _parse_point(Resources, tree, "resources", origin)


def _parse_point(section: type[_Section], tree: Tree, prefix: str, origin: str) -> _Section:
    try:
        return section.model_validate(tree)
    except ValidationError as error:
        complaint = as_config_error(error, section, prefix=prefix)
        problem = f"{complaint.problem} (design point {origin})"
        raise ConfigError(complaint.field, complaint.value, problem, complaint.remedy) from error


def dump_study(spec: StudySpec, path: Path) -> None:
    """Write the resolved study as YAML that `load_study` reads back to an equal one."""
    path.write_text(yaml_of(spec.model_dump(mode="json")), encoding="utf-8")


def yaml_of(tree: Tree) -> str:
    """Return nested dictionaries as YAML, keys in their order."""
    yaml, text = YAML(typ="safe", pure=True), StringIO()
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # annotated as None upstream
    yaml.dump(tree, text)
    return text.getvalue()
