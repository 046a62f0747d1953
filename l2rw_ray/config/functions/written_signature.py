"""Read what a training function takes from its source, without running it."""

import ast
import warnings
from collections.abc import Sequence
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
_ANY = ("*", "exec", "globals", "vars")
"""What may define any name of a module."""


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of the user's code
            body = ast.parse(file.read_bytes()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the import says what is wrong with it
        return None
    found = _definitions(body, attribute)
    only = found[0] if len(found) == 1 and found[0] in body else None
    if not isinstance(only, ast.FunctionDef) or only.decorator_list:
        return None
    return only if all(map(_imports_from_this_package, _definitions(body, "Trial"))) else None


def _definitions(body: Sequence[ast.stmt], name: str) -> list[ast.AST]:
    """Return what may give a meaning to a name of a module."""
    found: list[ast.AST] = []
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = (node for node in ast.walk(statement) if isinstance(node, ast.Global))
            found += [statement] * (statement.name == name) + [node for node in inner if name in node.names]
        else:
            found += [node for node in ast.walk(statement) if {name, *_ANY} & _defined(node)]
    return found


def _defined(node: ast.AST) -> set[str | None]:
    """Return the names to which a node may give a meaning; one of `_ANY` where only running it tells."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.ExceptHandler(name=name) | ast.MatchAs(name=name) | ast.MatchStar(name=name):
            return {name}
        case ast.MatchMapping(rest=name):
            return {name}
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return {(alias.asname or alias.name).partition(".")[0] for alias in aliases}
        case ast.Name(id=name, ctx=context):
            return {name} if name in _ANY or not isinstance(context, ast.Load) else set()
    return set()


def _imports_from_this_package(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "l2rw_ray"


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
