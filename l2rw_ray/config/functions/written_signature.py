"""What a training function takes according to its text, which is read without running any of it."""

import ast
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from l2rw_ray.config.functions.signature import SEED, TRIAL, Signature, check_params
from l2rw_ray.config.functions.trials import FunctionTrial
from l2rw_ray.config.planned_trial import PlannedTrial
from l2rw_ray.import_path import is_local, locate, split_path

_FIELD = "trial.function"
_PLAIN = {
    *("bool", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "set", "str"),
    *("tuple", "Any", "Literal", "Mapping", "Optional", "Path", "Sequence", "Union"),
}
"""Names in the types of arguments that are certainly no class which holds all parameters."""


def check_written_params(trials: Sequence[PlannedTrial]) -> None:
    """Check the names of parameters as far as the text of their function tells what it takes.

    A function that is installed, decorated, or takes a class of its own is left to the check of a run.

    Raises:
        ConfigError: One is unknown or missing; the message names the design point.
        InputError: There is no such module.
    """
    definition = cache(_definition)  # for this check alone: a file may be edited before the next one
    for trial in trials:
        if isinstance(trial.config, FunctionTrial):
            written = definition(trial.config.function)
            signature = None if written is None else _signature(trial.config, written)
            if signature is not None:
                check_params(trial, trial.config.params, signature)


def _definition(path: str) -> ast.FunctionDef | None:
    """Return the only definition of a function in its module; None where there is not exactly one."""
    package, (module, attribute) = locate(path, _FIELD), split_path(path, _FIELD)
    inner = package.joinpath(*module.split(".")[1:])
    file = inner / "__init__.py" if inner.is_dir() else inner.with_suffix(".py")
    if not is_local(package) or not file.is_file():
        return None
    try:
        body = ast.parse(file.read_bytes()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the import says what is wrong with it
        return None
    found = [node for node in body if attribute in _names(node)]
    only = found[0] if len(found) == 1 else None
    return only if isinstance(only, ast.FunctionDef) and not only.decorator_list else None


def _names(node: ast.stmt) -> Collection[str]:
    """Return the names that a statement may give a meaning to."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _signature(config: FunctionTrial, written: ast.FunctionDef) -> Signature | None:
    """Return what a function takes; None where only importing its types tells."""
    arguments = written.args
    every = [*arguments.args, *arguments.kwonlyargs]
    trial = next((each.arg for each in every if each.arg == TRIAL or _is_trial(each.annotation)), None)
    if arguments.posonlyargs or not all(
        each.annotation is None or (_is_trial if each.arg == trial else _is_plain)(each.annotation)
        for each in every
    ):
        return None
    has_seed = SEED not in config.params and any(each.arg == SEED for each in every)
    named = {each.arg for each in every} - {trial} - ({SEED} if has_seed else set())
    return Signature(
        config.function,
        trial,
        has_seed,
        named=dict.fromkeys(sorted(named), Any),
        required=frozenset(named - _with_default(arguments)),
        takes_any=arguments.kwarg is not None,
    )


def _with_default(arguments: ast.arguments) -> set[str]:
    last = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    by_keyword = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return {each.arg for each in last} | {each.arg for each, default in by_keyword if default is not None}


def _is_trial(annotation: ast.expr | None) -> bool:
    match annotation:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name == "Trial"
    return False


def _is_plain(annotation: ast.expr) -> bool:
    nodes = list(ast.walk(annotation))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names <= _PLAIN and bool(names) and not any(isinstance(node, ast.Attribute) for node in nodes)
