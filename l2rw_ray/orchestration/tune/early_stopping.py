"""Ray Tune's scheduler for the stopping rule of a search."""

from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule, TrialScheduler

from l2rw_ray.config import StudySpec, TrialConfig
from l2rw_ray.config.design.search import AshaStopping, MedianStopping, SearchDesign
from l2rw_ray.config.study import max_length
from l2rw_ray.orchestration.tune.trial_reports import STEPS, TIME


def early_stopping(spec: StudySpec) -> TrialScheduler | None:
    """Return Tune's scheduler for the stopping rule of a search; None without one."""
    design, objective = spec.design, spec.objective
    stopping = design.stopping if isinstance(design, SearchDesign) else None
    in_steps = isinstance(spec.trial, TrialConfig) and spec.trial.optim.steps is not None
    time = STEPS if in_steps else TIME
    ranked: dict[str, Any] = {"time_attr": time, "metric": objective.metric, "mode": objective.mode}
    match stopping:
        case AshaStopping():
            assert isinstance(design, SearchDesign)
            return AsyncHyperBandScheduler(
                **ranked,
                max_t=(max_length(design, spec.trial) or 0) + 1,  # a trial that reaches it would be stopped
                grace_period=stopping.grace,
                reduction_factor=stopping.reduction_factor,
            )
        case MedianStopping():
            return MedianStoppingRule(
                **ranked, grace_period=stopping.grace, min_samples_required=stopping.min_trials
            )
    return None
