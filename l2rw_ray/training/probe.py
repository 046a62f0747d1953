"""The overhead probe: plain and reweighted steps, interleaved, on a copy of a trial's own state."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle

from torch.optim import Optimizer

from l2rw_ray.config import TrialConfig
from l2rw_ray.config.method import L2RWMethod, UniformMethod
from l2rw_ray.data import Batch
from l2rw_ray.methods import Arm, TrainingContext, build_arm
from l2rw_ray.training.determinism import restore_rng, rng_state
from l2rw_ray.training.optimizers import build_optimizer
from l2rw_ray.training.ranks import Ranks, device_of, unwrapped
from l2rw_ray.training.timing import PhaseTimer, interleaved_step_times


def probe_overhead(
    config: TrialConfig, context: TrainingContext, batches: list[Batch], ranks: Ranks
) -> dict[str, float]:
    """Measure what a step of the trial's arm costs beside a plain one.

    Model, optimiser and random generators are left as they were. With several ranks each figure is
    the slowest rank's.

    Args:
        config: The trial.
        context: The state it trains with, of which copies are made.
        batches: Batches to step on, used in turn.
        ranks: The trial's workers.

    Returns:
        `step_time_plain_s`, `step_time_s`, `overhead_ratio` and `phase_<name>_s` per reweighted
        step; empty when no rounds are asked for or the arm is plain.
    """
    rounds = config.measurement.probe_rounds
    if rounds == 0 or isinstance(config.method, UniformMethod):
        return {}
    generators = rng_state()
    timer = PhaseTimer(device_of(context.model), synchronise=True)
    plain_context, arm_context = (_copy_of(context, config, ranks, timer) for _ in range(2))
    plain = _stepper(build_arm(UniformMethod(name="uniform"), plain_context), batches)
    reweighted = _stepper(build_arm(config.method, arm_context), batches)
    steps = config.method.update_every if isinstance(config.method, L2RWMethod) else 1
    plain_s, step_s = interleaved_step_times(
        lambda: next(plain), lambda: next(reweighted), steps, rounds, timer
    )
    restore_rng(generators)
    plain_s, step_s = ranks.maximum(plain_s), ranks.maximum(step_s)
    phases = {f"phase_{name}_s": total / (rounds * steps) for name, total in sorted(timer.total_s.items())}
    return {
        "step_time_plain_s": plain_s,
        "step_time_s": step_s,
        "overhead_ratio": step_s / plain_s,
        **{name: ranks.maximum(value) for name, value in phases.items()},
    }


def _copy_of(
    context: TrainingContext, config: TrialConfig, ranks: Ranks, timer: PhaseTimer
) -> TrainingContext:
    network = copy.deepcopy(unwrapped(context.model))
    optimizer: Optimizer = build_optimizer(config.optim, network)
    optimizer.load_state_dict(copy.deepcopy(context.optimizer.state_dict()))
    return replace(context, model=ranks.wrap(network), optimizer=optimizer, timer=timer)


def _stepper(arm: Arm, batches: list[Batch]) -> Iterator[None]:
    """Make one step each time the next item is asked for."""
    for number, batch in enumerate(cycle(batches)):
        arm.step(batch, number, epoch=0)
        yield
