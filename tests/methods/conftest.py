"""Trials of every method, trained in this process, and methods that a test steps by hand."""

from typing import Any

import torch

from l2rw_ray.data import load_source, make_splits
from l2rw_ray.methods import Method, TrainingContext, build_method
from l2rw_ray.training.context import build_context
from l2rw_ray.training.ranks import Ranks
from tests.training.conftest import MakeTrial, make_trial

__all__ = ["built", "make_trial"]


def built(make_trial: MakeTrial, **changes: Any) -> tuple[Method, TrainingContext]:
    """The method of a trial of the small study, with some fields changed, and what it trains."""
    trial = make_trial(**changes)
    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    context = build_context(trial, splits, Ranks(), torch.device("cpu"))
    return build_method(trial.config.method, context), context
