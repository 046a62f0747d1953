"""How a training function is called: which of its arguments are the trial, the seed and the parameters.

A function may take the trial, parameters by name, one object that holds them, or any of these together:

- `main(trial)`: parameters are not checked, and are in `trial.params`;
- `main(trial: Trial[Params])`: `trial.params` is a `Params`, a pydantic model or dataclass;
- `main(trial, params: Params)`: so is `params`;
- `main(trial, lr: float, depth: int = 3)`: each has its type, unknown ones are refused; `**others` takes any;
- `main(lr, seed)`: it returns its final metrics.
"""

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model

from l2rw_ray.config.planned_trial import PlannedTrial
from l2rw_ray.errors import ConfigError, InputError

TRIAL, SEED = "trial", "seed"
_ARBITRARY = ConfigDict(arbitrary_types_allowed=True, extra="allow")


@dataclass(frozen=True)
class Signature:
    """What a function takes.

    Attributes:
        path: Import path of the function, for error messages.
        trial: Name of the argument that gets the trial; None where there is none.
        seed: Whether there is an argument `seed`.
        holder: Name of the argument that gets all parameters as one object; None where there is none.
        holder_type: Class of that object, or of `trial.params`; None where parameters stay a mapping.
        named: Types of the parameters that are arguments, by name.
        required: Those of them without a default.
        takes_any: Whether there may be any other parameter.
    """

    path: str
    trial: str | None = None
    seed: bool = False
    holder: str | None = None
    holder_type: type | None = None
    named: Mapping[str, Any] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    takes_any: bool = False

    def bind(self, params: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return what `trial.params` is, and the arguments of the call beside trial and seed.

        Args:
            params: Parameters by name, as in the study.

        Raises:
            ConfigError: One is unknown, missing or of the wrong type.
        """
        if self.holder_type is not None:
            held = self._held(params, self.holder_type)
            return held, {} if self.holder is None else {self.holder: held}
        given = {name: value for name, value in params.items() if name != SEED or SEED in self.named}
        if self.takes_any or self.named or self.trial is None:
            self._check_names(given, set(self.named), set() if self.takes_any else None)
        arguments = self._typed({name: given[name] for name in self.named if name in given})
        missing = sorted(self.required - arguments.keys())
        if missing:
            raise ConfigError(
                f"trial.params.{missing[0]}", None, f"{self.path} needs it", "add it to trial.params"
            )
        if self.takes_any:
            arguments = {**given, **arguments}
        return dict(params), arguments

    def _held(self, params: Mapping[str, Any], kind: type) -> Any:
        if issubclass(kind, BaseModel):
            names = {
                alias for name, each in kind.model_fields.items() for alias in (name, each.alias or name)
            }
            takes_any = kind.model_config.get("extra") == "allow"
        else:
            held: Any = kind
            names, takes_any = {each.name for each in dataclasses.fields(held) if each.init}, False
        self._check_names(params, names, set() if takes_any else None)
        try:
            return TypeAdapter(kind).validate_python(dict(params))
        except ValidationError as error:
            raise _complaint(error, self.path) from error

    def _typed(self, arguments: dict[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {name: (self.named[name], ...) for name in arguments}
        model = create_model("Arguments", __config__=_ARBITRARY, **_renamed(fields))
        try:
            found = model.model_validate(_renamed(arguments))
        except ValidationError as error:
            raise _complaint(error, self.path) from error
        return {name: getattr(found, f"{_PREFIX}{name}") for name in arguments}

    def _check_names(self, params: Mapping[str, Any], names: set[str], any_other: set[str] | None) -> None:
        unknown = [name for name in params if name not in names] if any_other is None else []
        if not unknown:
            return
        near = difflib.get_close_matches(unknown[0], sorted(names), n=1)
        known = f"use one of {', '.join(sorted(names))}" if names else "leave it out"
        raise ConfigError(
            f"trial.params.{unknown[0]}",
            params[unknown[0]],
            f"{self.path} has no such parameter",
            f"did you mean {near[0]!r}?" if near else known,
        )


def check_params(trial: PlannedTrial, params: Mapping[str, Any], signature: Signature) -> None:
    """Check the parameters of a trial against what its function takes.

    Raises:
        ConfigError: One is unknown, missing or of the wrong type; the message names the design point.
    """
    try:
        signature.bind(params)
    except ConfigError as error:
        point = ", ".join(f"{path} = {level}" for path, level in trial.factors.items())
        problem = f"{error.problem} (design point {point})" if point else error.problem
        raise ConfigError(error.field, error.value, problem, error.remedy) from error


_PREFIX = "given_"
"""Keeps names of arguments apart from those that pydantic's models use themselves."""


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{_PREFIX}{name}": value for name, value in values.items()}


def signature_of(function: Callable[..., Any], path: str, params: Mapping[str, Any]) -> Signature:
    """Return what a function takes.

    Args:
        function: The training function.
        path: Its import path, for error messages.
        params: Parameters of the study, which tell an object of parameters from one of them.

    Raises:
        InputError: It cannot be called with keyword arguments.
    """
    arguments, hints = _arguments(function, path), _hints(function)
    found: dict[str, Any] = {"named": {}, "required": set()}
    for name, argument in arguments.items():
        kind = hints.get(name, Any)
        if argument.kind is argument.VAR_KEYWORD:
            found["takes_any"] = True
        elif argument.kind is argument.VAR_POSITIONAL:
            continue
        elif argument.kind is argument.POSITIONAL_ONLY:
            remedy = "leave the / out of its signature"
            raise InputError("trial.function", path, f"its argument {name!r} has no name", remedy)
        elif name == TRIAL or _is_trial(kind):
            found["trial"] = name
            inner = next(iter(get_args(kind)), None)
            if _holds_parameters(inner):
                found["holder_type"] = inner
        elif name == SEED and SEED not in params:
            found["seed"] = True
        elif _holds_parameters(kind) and name not in params:
            found |= {"holder": name, "holder_type": kind}
        else:
            found["named"][name] = kind
            if argument.default is argument.empty:
                found["required"].add(name)
    return Signature(path, **{**found, "required": frozenset(found["required"])})


def _arguments(function: Callable[..., Any], path: str) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        problem = "its arguments are not known"
        raise InputError("trial.function", path, problem, "name a Python function") from error


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the types of the arguments; those that cannot be resolved are left out."""
    try:
        return get_type_hints(function)
    except Exception:  # noqa: BLE001  # whatever an annotation of the user raises
        plain = getattr(function, "__annotations__", {})
        return {name: kind for name, kind in plain.items() if not isinstance(kind, str)}


def _is_trial(kind: Any) -> bool:
    origin = get_origin(kind) or kind
    home = str(getattr(origin, "__module__", ""))
    return getattr(origin, "__name__", None) == "Trial" and home.startswith("l2rw_ray.")


def _holds_parameters(kind: Any) -> bool:
    return isinstance(kind, type) and (issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind))


def _complaint(error: ValidationError, path: str) -> ConfigError:
    """Return the first error of a validation in one line."""
    first = error.errors()[0]
    place = ".".join(str(part).removeprefix(_PREFIX) for part in first["loc"])
    if first["type"] in ("missing", "missing_argument"):
        return ConfigError(f"trial.params.{place}", None, f"{path} needs it", "add it to trial.params")
    problem = first["msg"][:1].lower() + first["msg"][1:]
    remedy = f"see the signature of {path}"
    return ConfigError(f"trial.params.{place}", first["input"], problem, remedy)
