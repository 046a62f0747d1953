"""The `trial` section: the built-in trainer, or a custom function or script."""

from typing import Annotated, Any

from pydantic import Field, Tag

from l2rw_ray.config.custom import ByKey, by_key
from l2rw_ray.config.functions.trials import PARAMS, FunctionTrial, OwnTrial, ScriptTrial
from l2rw_ray.config.trial import TrialConfig

_KINDS = ByKey(("script", "function"), "built-in trainer")

AnyTrial = Annotated[
    Annotated[TrialConfig, Tag(_KINDS.default)]
    | Annotated[FunctionTrial, Tag("function")]
    | Annotated[ScriptTrial, Tag("script")],
    Field(discriminator=by_key(_KINDS)),
]
"""Any kind of trial."""


def trial_path(trial: TrialConfig | OwnTrial, path: str) -> str:
    """Return the path inside the trial that a path of a design means.

    Args:
        trial: The study's trial.
        path: Path relative to `trial`; of an own trial, also the name of a parameter.
    """
    is_own = isinstance(trial, FunctionTrial | ScriptTrial)
    return path if not is_own or path.startswith(f"{PARAMS}.") else f"{PARAMS}.{path}"


def class_of(given: Any) -> type[TrialConfig | FunctionTrial | ScriptTrial]:
    """Return the class of a draft of a trial."""
    kind = _KINDS(given)
    return ScriptTrial if kind == "script" else FunctionTrial if kind == "function" else TrialConfig


def is_own(given: Any) -> bool:
    """Return whether a trial, or the draft of one, calls a custom function or script."""
    return _KINDS(given) != _KINDS.default


def as_built_in(trial: Any) -> TrialConfig:
    """Return a trial of the built-in trainer as what it is."""
    assert isinstance(trial, TrialConfig), "not a trial of the built-in trainer"
    return trial
