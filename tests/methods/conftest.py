"""Trials of every arm, trained in this process, and arms that a test steps by hand."""

from typing import Any

import torch

from l2rw_ray.data import load_source, make_splits
from l2rw_ray.methods import Arm, TrainingContext, build_arm
from l2rw_ray.training.context import build_context
from l2rw_ray.training.ranks import Ranks
from tests.training.conftest import MakeTrial, make_trial

__all__ = ["built", "make_trial"]


def built(make_trial: MakeTrial, **changes: Any) -> tuple[Arm, TrainingContext]:
    """The arm of a trial of the small study, with some fields changed, and what it trains."""
    trial = make_trial(**changes)
    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    context = build_context(trial, splits, Ranks(), torch.device("cpu"))
    return build_arm(trial.config.method, context), context
