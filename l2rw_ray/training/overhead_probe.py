"""The overhead probe: plain and reweighted steps, interleaved, on a copy of a trial's state."""

import copy
from collections.abc import Callable
from dataclasses import replace
from itertools import count, cycle
from statistics import fmean, median

import torch
from torch.optim import Optimizer

from l2rw_ray.config import TrialConfig
from l2rw_ray.config.method.methods import MethodConfig, UniformConfig
from l2rw_ray.config.training.precision import PrecisionName
from l2rw_ray.data import Batch
from l2rw_ray.measurement import PhaseTimer, interleaved_times, peak_memory_bytes
from l2rw_ray.methods import TrainingContext, build_method
from l2rw_ray.training.arithmetic.network import prepare_network
from l2rw_ray.training.arithmetic.precision import autocast, scaler_for
from l2rw_ray.training.determinism import restore_rng, rng_state
from l2rw_ray.training.optim.optimizers import build_optimizer
from l2rw_ray.training.ranks import Ranks, device_of, unwrapped

_PHASE_ROUNDS = 2
BETWEEN_STEPS = 3
"""Most steps without new weights that are timed in a round; a cycle may have more."""
_ONCE = 10**9
"""Value of `verify_every` with which only the first step, which no time counts, checks its scores."""
_STANDSTILL = 1e-6
"""Factor on the learning rate of the copies; at 0 a lookahead through the optimiser would have no effect."""


def probe_overhead(
    config: TrialConfig, context: TrainingContext, batches: list[Batch], ranks: Ranks
) -> dict[str, float]:
    """Measure the cost of a step of the trial's method and of a plain step.

    The copies hardly change, so that the timed state is the one that is trained. Each step makes an update,
    also where the trial accumulates gradients. Model, optimiser and random generators stay as they were.
    With several ranks each metric is the slowest rank's.

    Args:
        config: The trial.
        context: The state it trains with, which is copied.
        batches: Batches to step on, in turn.
        ranks: The trial's workers.

    Returns:
        `peak_memory_bytes`, what steps allocate beyond parameters and optimiser state, including gradients
        and what is held between steps; and for a reweighted method `step_time_plain_s`, `step_time_s` (the
        mean over a cycle of steps, from one meta gradient to the next, with each scored step's share of a
        check of its scores), `overhead_ratio`, `peak_memory_plain_bytes`, `phase_<name>_s` per step that
        computes weights, and `parameters`, their number; where scores are checked also `check_time_s`, of one
        check. Empty without rounds.
    """
    if config.measurement.probe_rounds == 0:
        return {}
    generators = rng_state()
    try:
        metrics = _measure(config, context, batches, ranks)
    finally:
        restore_rng(generators)
    return {name: ranks.maximum(value) for name, value in metrics.items()} | _ratio(metrics, ranks)


def _measure(
    config: TrialConfig, context: TrainingContext, batches: list[Batch], ranks: Ranks
) -> dict[str, float]:
    device, rounds = device_of(context.model), config.measurement.probe_rounds
    precision = config.precision
    plain = _Stepper(UniformConfig(name="uniform"), _copy_of(context, config, ranks), batches, precision)
    plain.step()
    plain_bytes = plain.peak_bytes(device)
    if isinstance(config.method, UniformConfig):
        return {"peak_memory_bytes": plain_bytes}
    copied = _copy_of(context, config, ranks)
    update_every = config.method.steps_per_weight_update
    gradient_every = config.method.steps_per_meta_gradient // update_every
    check_every = config.method.scored_steps_per_check
    method = _checked_every(_ONCE, config.method) if check_every else config.method
    stepper = _Stepper(method, copied, batches, precision)
    runs: dict[str, Callable[[], object]] = {"plain": plain.step, "scored": stepper.scored()}
    runs |= {f"between {number}": stepper.step for number in range(min(update_every - 1, BETWEEN_STEPS))}
    if gradient_every > 1:
        runs["scored again"] = stepper.scored(after=update_every)
    if check_every:
        runs["checked"] = _Stepper(_checked_every(1, config.method), copied, batches, precision).scored()
    by_round = interleaved_times(runs, rounds, device)
    times_s = {name: median(found) for name, found in by_round.items()}
    again_s = times_s.get("scored again", 0.0)
    check_s = _difference(by_round["checked"], by_round["scored"]) if check_every else 0.0
    scored_s = (times_s["scored"] + (gradient_every - 1) * again_s) / gradient_every
    scored_s += check_s / check_every if check_every else 0.0
    between_s = fmean([found for name, found in times_s.items() if "between" in name] or [0.0])
    timer = PhaseTimer(device, synchronise=True)
    timed = _Stepper(method, replace(copied, timer=timer), batches, precision).scored()
    timed()
    timer.total_s.clear()
    for _ in range(_PHASE_ROUNDS):
        timed()
    return {
        "step_time_plain_s": times_s["plain"],
        "step_time_s": (scored_s + (update_every - 1) * between_s) / update_every,
        **({"check_time_s": check_s} if check_every else {}),
        "peak_memory_bytes": stepper.peak_bytes(device),
        "peak_memory_plain_bytes": plain_bytes,
        "parameters": float(sum(parameter.numel() for parameter in unwrapped(context.model).parameters())),
        **{f"phase_{name}_s": total / _PHASE_ROUNDS for name, total in sorted(timer.total_s.items())},
    }


def _checked_every(steps: int, method: MethodConfig) -> MethodConfig:
    """Return the section of a method that checks its scores, with another interval of checks."""
    return method.model_copy(update={"verify_every": steps})


def _difference(longer_s: list[float], shorter_s: list[float]) -> float:
    """Return the median over rounds of the difference of two times, in seconds, at least 0."""
    return max(median(longer - shorter for longer, shorter in zip(longer_s, shorter_s, strict=True)), 0.0)


def _ratio(metrics: dict[str, float], ranks: Ranks) -> dict[str, float]:
    if "step_time_s" not in metrics:
        return {}
    return {
        "overhead_ratio": ranks.maximum(metrics["step_time_s"]) / ranks.maximum(metrics["step_time_plain_s"])
    }


def _copy_of(context: TrainingContext, config: TrialConfig, ranks: Ranks) -> TrainingContext:
    network = copy.deepcopy(unwrapped(context.model))
    prepare_network(network, config)  # the copy of a compiled network is not compiled
    optimizer: Optimizer = build_optimizer(config.optim, network)
    optimizer.load_state_dict(copy.deepcopy(context.optimizer.state_dict()))
    for group in optimizer.param_groups:
        group["lr"] *= _STANDSTILL
    options = {**context.update_options, "accumulation_steps": 1}
    if scaler := scaler_for(config.precision, device_of(network), ranks.world_size):
        options["scaler"] = scaler
    return replace(context, model=ranks.wrap(network), optimizer=optimizer, update_options=options)


class _Stepper:
    """Steps of a method on batches in turn.

    Args:
        method: The `method` section.
        context: What it trains with.
        batches: Batches to step on.
        precision: What they are computed in.
    """

    def __init__(
        self,
        method: MethodConfig,
        context: TrainingContext,
        batches: list[Batch],
        precision: PrecisionName,
    ) -> None:
        endless = cycle(replace(batch, is_last=False) for batch in batches)
        self._method, self._numbered = build_method(method, context), zip(count(), endless)
        self._optimizer, self._precision = context.optimizer, precision
        self._fresh = self._method.state_dict()

    def step(self) -> object:
        """Make the next step."""
        number, batch = next(self._numbered)
        with autocast(self._precision, batch.y.device):
            return self._method.step(batch, number, epoch=0)

    def peak_bytes(self, device: torch.device) -> float:
        """Return the peak memory of a step that computes weights and the next, starting without gradients."""
        self._optimizer.zero_grad(set_to_none=True)
        scored = self.scored()

        def both() -> None:
            scored()
            self.step()

        return float(peak_memory_bytes(both, device))

    def scored(self, after: int = 0) -> Callable[[], object]:
        """Return a function that makes a step which computes weights, at each call.

        Args:
            after: Number of steps made once before it; 0 for the first of a trial.
        """
        self._method.load_state_dict(self._fresh)
        for _ in range(after):
            self.step()
        start = self._method.state_dict() if after else self._fresh

        def scored() -> object:
            self._method.load_state_dict(start)
            return self.step()

        return scored
