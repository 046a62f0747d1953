"""Implement `l2rw-ray init`: ask what to study, and write a study file that runs."""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from l2rw_ray.cli.new_data import data_and_model, label_columns, looks_like_images
from l2rw_ray.config import parse_study
from l2rw_ray.config.functions.signature import SEED, signature_of
from l2rw_ray.config.loading import yaml_of
from l2rw_ray.config.yaml_text import parse_yaml
from l2rw_ray.errors import InputError
from l2rw_ray.import_path import is_import_path, load, look_in
from l2rw_ray.planning.plan import plan_study

_METHODS = "method.name=uniform,random,l2rw"
"""What is compared on data, unless something else is asked for."""
_SEEDS = 5

Ask = Callable[[str, str, str | None], str]
"""Asks for what an option would say, with a question and a default answer."""


@dataclass(frozen=True)
class Wishes:
    """Answers, by option; None where the option was not given.

    Attributes:
        on: A table, a folder of images, or a function as an import path.
        label: Column of labels or targets of a table.
        metric: Metric that a function reports.
        vary: What is compared, `path=level,level`.
        question: The question of the study.
    """

    on: str | None
    label: str | None
    metric: str | None
    vary: str | None
    question: str | None


def write_study(file: Path, wishes: Wishes, ask: Ask) -> None:
    """Ask what the options leave open, and write a study file.

    Args:
        file: The file, which must not exist.
        wishes: The options.
        ask: Asks the user.

    Raises:
        InputError: The file exists, or an answer cannot be used.
    """
    if file.exists():
        raise InputError("STUDY.yaml", file, "it exists already", "name a new file")
    look_in(file.parent)
    on = _answer(
        *(wishes.on, ask, "--on"),
        "What do you study? A table, a folder of images, or a function (module:name)",
    )
    wishes = replace(wishes, on=on)
    tree = _of_function(wishes, on, ask) if is_import_path(on) else _of_data(wishes, on, ask)
    name = re.sub(r"[^a-z0-9_-]+", "-", file.stem.lower()).strip("-_") or "study"
    path, levels = next(iter(tree["design"]["factors"].items()))
    usual = f"Which of {', '.join(map(str, levels))} is best as {path}?"
    question = usual if wishes.question is None else wishes.question
    study = {"name": name, "question": question, **tree, "seeds": _SEEDS}
    plan_study(parse_study(study))
    file.write_text(yaml_of(study), encoding="utf-8")


def _of_data(wishes: Wishes, on: str, ask: Ask) -> dict[str, Any]:
    if not Path(on).expanduser().exists() and "://" not in on:
        remedy = "give a Parquet or CSV file, a folder of images, or a function as module:name"
        raise InputError("--on", on, "there is no such file or folder", remedy)
    _refuse("--metric", wishes.metric, "trials on data report metrics of their own")
    label = None
    if looks_like_images(on):
        _refuse("--label", wishes.label, "folders of images are named after their classes")
    else:
        known = label_columns(on)
        question = f"Which column is the label or target? {_listed(known)}"
        label = _answer(wishes.label, ask, "--label", question, known[0])
        if label not in known:
            raise InputError("--label", label, "no such column", f"use one of {_listed(known)}")
    vary = _answer(wishes.vary, ask, "--vary", "What do you compare?", _METHODS)
    data, model = data_and_model(on, label)
    optim = {"name": "adam", "lr": 0.001, "batch_size": 50, "epochs": 20}
    trial = {"data": data, "model": model, "method": {"name": "l2rw"}, "optim": optim}
    design = {"kind": "grid", "factors": dict([_factor(vary, "optim.lr=0.01,0.1")])}
    objective = {"objective": {"metric": "validation_rmse"}} if "target" in data else {}
    return {"trial": trial, "design": design, **objective}


def _of_function(wishes: Wishes, on: str, ask: Ask) -> dict[str, Any]:
    _refuse("--label", wishes.label, "a function has no column of labels")
    params = _defaults(on)
    question = "Which metric does it report? NAME, or NAME:min if less is better"
    metric = _answer(wishes.metric, ask, "--metric", question)
    name, _, mode = metric.partition(":")
    if not name:
        raise InputError("--metric", metric, "no name of a metric", "write it before the colon")
    if mode not in ("", "min", "max"):
        raise InputError("--metric", metric, "no direction", "end it in :min or :max")
    known = ", ".join(f"{key} ({value})" for key, value in params.items())
    question = f"Which parameter do you compare, such as lr=0.01,0.1? {known}".strip()
    vary = _answer(wishes.vary, ask, "--vary", question)
    path, levels = _factor(vary, f"{vary.partition('=')[0].strip() or next(iter(params), 'lr')}=LEVEL,LEVEL")
    params = {**params, path: levels[0]}
    signature_of(load(on, "--on"), on, params).bind(params)
    return {
        "trial": {"function": on, "params": params},
        "metrics": {name: {"mode": mode or "max", "headline": True}},
        "design": {"kind": "grid", "factors": {path: levels}},
    }


def _answer(given: str | None, ask: Ask, option: str, question: str, default: str | None = None) -> str:
    """Return what an option says, or the answer to a question where it was not given."""
    if given == "":
        raise InputError(option, given, "empty", "give it, or leave it out to be asked")
    return ask(option, question, default) if given is None else given


def _refuse(option: str, given: str | None, problem: str) -> None:
    if given is not None:
        raise InputError(option, given, problem, "leave it out")


def _defaults(path: str) -> dict[str, Any]:
    """Return the parameters of a function that have a default which a study file can hold; not the seed."""
    given = inspect.signature(load(path, "--on")).parameters.values()
    plain = (bool, int, float, str)
    return {
        each.name: each.default for each in given if isinstance(each.default, plain) and each.name != SEED
    }


def _factor(vary: str, example: str) -> tuple[str, list[Any]]:
    path, equals, levels = vary.partition("=")
    values = [parse_yaml(level, "--vary") for level in levels.split(",")] if levels else []
    if not equals or not path.strip() or len(values) < 2:
        raise InputError("--vary", vary, "not of the form PATH=LEVEL,LEVEL", f"try --vary {example}")
    return path.strip(), values


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:12])
    return f"{shown}, …" if len(names) > 12 else shown
