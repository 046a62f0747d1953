"""The learning rates of a trial's optimisers, set before every optimiser step."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)

from l2rw_ray.config.method.section import Stage
from l2rw_ray.config.optim import Optim
from l2rw_ray.config.schedule import (
    ConstantSchedule,
    CosineSchedule,
    LinearSchedule,
    MultiStepSchedule,
    OneCycleSchedule,
    PolynomialSchedule,
    Schedule,
    StepSchedule,
)
from l2rw_ray.errors import ConfigError


class LRSchedule:
    """Multiplies the rate of each parameter group by the factors of stage and schedule.

    A planned optimiser step counts whether or not it updates anything: a method that skips steps has the
    rates of all others. A constant rate is set at the start of each stage and left alone otherwise.

    Args:
        optimizers: At their own rates, `optim.lr` for most groups.
        config: The schedule, which starts anew in each stage.
        stages: Of the whole trial.
        steps_per_epoch: Optimiser steps.
        lr: `optim.lr`.
        left_out: Optimiser steps that the last epoch lacks, where it is partial.

    Raises:
        ConfigError: A stage has too few steps for the schedule.
    """

    def __init__(
        self,
        optimizers: Sequence[Optimizer],
        config: Schedule,
        stages: Sequence[Stage],
        steps_per_epoch: int,
        lr: float,
        left_out: int = 0,
    ) -> None:
        self._optimizers, self._config, self._stages = optimizers, config, stages
        self._steps_per_epoch, self._lr = steps_per_epoch, lr
        self._own = [[float(group["lr"]) for group in each.param_groups] for each in optimizers]
        self._starts = [0, *accumulate(stage.epochs for stage in stages)][:-1]
        self._stage, self._used = 0, lr
        self._is_constant = isinstance(config, ConstantSchedule) and not config.warmup
        self._left_out = [0] * (len(stages) - 1) + [left_out]
        for stage in reversed(range(len(stages))):
            self._start(stage)

    @property
    def metrics(self) -> dict[str, float]:
        """`learning_rate` of the last optimiser step; empty where it never changes."""
        changes = not self._is_constant or any(stage.lr_factor != 1 for stage in self._stages)
        return {"learning_rate": self._used} if changes else {}

    def begin_epoch(self, epoch: int) -> None:
        """Start the stage that begins with an epoch, if one does."""
        if epoch in self._starts:
            self._start(self._starts.index(epoch))
            self._set()

    def advance(self) -> None:
        """Set the rates of the next optimiser step; call it after each."""
        self._used = self._lr * self._product
        if not self._is_constant:
            self._factor.advance()
            self._set()

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the schedule; empty for a constant rate, which optimisers keep."""
        return {} if self._is_constant else {"stage": self._stage, "steps": self._factor.steps}

    def load_state_dict(self, state: dict[str, Any], epoch: int) -> None:
        """Return to a position in the schedule, from its start step by step as training got there.

        Args:
            state: What `state_dict` returned.
            epoch: The next epoch, from which a constant rate knows its stage.
        """
        if self._is_constant:
            self._stage = bisect_right(self._starts, epoch) - 1
            return
        self._start(state["stage"])
        for _ in range(state["steps"]):
            self._factor.advance()
        self._set()

    @property
    def _product(self) -> float:
        return self._stages[self._stage].lr_factor * self._factor.value

    def _start(self, stage: int) -> None:
        self._stage = stage
        steps = self._stages[stage].epochs * self._steps_per_epoch - self._left_out[stage]
        self._factor = _Factor(self._config, self._stages[stage], steps, self._steps_per_epoch)

    def _set(self) -> None:
        for optimizer, rates in zip(self._optimizers, self._own, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * self._product


class LRSchedules:
    """The learning rates of the optimisers of a trial, which step together.

    Args:
        rates: Of each schedule, that of the section's own optimiser first.
    """

    def __init__(self, rates: Sequence[LRSchedule]) -> None:
        self._rates = rates

    @property
    def metrics(self) -> dict[str, float]:
        """`learning_rate` of the section's own optimiser, `learning_rate_2` … of others with their own."""
        return {
            f"{name}_{place}" if place > 1 else name: value
            for place, rates in enumerate(self._rates, start=1)
            for name, value in rates.metrics.items()
        }

    def begin_epoch(self, epoch: int) -> None:
        """Start the stage that begins with an epoch, if one does."""
        for rates in self._rates:
            rates.begin_epoch(epoch)

    def advance(self) -> None:
        """Set the rates of the next optimiser step; call it after each."""
        for rates in self._rates:
            rates.advance()

    def state_dict(self) -> dict[str, Any]:
        """Return the positions in the schedules; empty where all rates are constant."""
        states = [rates.state_dict() for rates in self._rates]
        if len(states) == 1:
            return states[0]
        return {"parts": states} if any(states) else {}

    def load_state_dict(self, state: dict[str, Any], epoch: int) -> None:
        """Return to the positions that `state_dict` returned; see `LRSchedule.load_state_dict`."""
        states = state.get("parts", [state] * len(self._rates))
        for rates, own in zip(self._rates, states, strict=True):
            rates.load_state_dict(own, epoch)


def learning_rates(
    optimizer: Optimizer, config: Optim, stages: Sequence[Stage], steps_per_epoch: int, left_out: int
) -> LRSchedules:
    """Return the learning rates of a trial's optimisers; see `LRSchedule`.

    Args:
        optimizer: What `build_optimizer` returned for the section.
        config: The `optim` section.
        stages: Of the whole trial.
        steps_per_epoch: Optimiser steps.
        left_out: Optimiser steps that the last epoch lacks.

    Raises:
        ConfigError: A stage has too few steps for a schedule.
    """
    own, *further = getattr(optimizer, "parts", (optimizer,))
    common = [part for part, each in zip(further, config.further, strict=True) if each.schedule is None]
    scheduled = [([own, *common], config.schedule, config.lr)]
    for part, each in zip(further, config.further, strict=True):
        if each.schedule is not None:
            scheduled.append(([part], each.schedule, each.lr))
    return LRSchedules(
        [
            LRSchedule(parts, schedule, stages, steps_per_epoch, lr, left_out)
            for parts, schedule, lr in scheduled
        ]
    )


class _Factor:
    """The factor of a schedule in one stage: the rate of one of torch's schedulers on an optimiser at rate 1.

    That optimiser trains nothing. All schedules are proportional to the rate that they start from, so that
    one of them serves all groups of all optimisers, and none has to be told of a restart or a skipped step.
    """

    def __init__(self, config: Schedule, stage: Stage, steps: int, steps_per_epoch: int) -> None:
        self.steps, self._last = 0, max(steps - 1, 0)
        self._optimizer = SGD([torch.zeros(())], lr=1.0)
        self._scheduler = _scheduler(
            config if stage.is_fresh else _without_warmup(config),
            self._optimizer,
            steps=self._last + 1,
            unit=steps_per_epoch if getattr(config, "unit", "epochs") == "epochs" else 1,
        )

    @property
    def value(self) -> float:
        """The factor of the next optimiser step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def advance(self) -> None:
        """Go to the next step; the factor of the last one stays."""
        if self.steps < self._last:
            self._optimizer.step()  # torch warns of schedulers that step before their optimiser
            self._scheduler.step()
            self.steps += 1


def _without_warmup(config: Schedule) -> Schedule:
    return config if isinstance(config, OneCycleSchedule) else config.model_copy(update={"warmup": 0})


def _scheduler(config: Schedule, optimizer: Optimizer, steps: int, unit: int) -> LRScheduler:
    """Build torch's scheduler of a stage.

    Args:
        config: The schedule.
        optimizer: At rate 1.
        steps: Optimiser steps of the stage.
        unit: Optimiser steps in one unit of the configuration's lengths.
    """
    if isinstance(config, OneCycleSchedule):
        return _one_cycle(config, optimizer, steps)
    warmup = config.warmup * unit
    if not warmup:
        return _after_warmup(config, optimizer, steps, unit)
    if warmup >= steps:
        problem = f"{warmup} optimiser steps do not fit into a stage of {steps}"
        raise ConfigError(
            "optim.schedule.warmup", config.warmup, problem, "warm up for fewer, or train longer"
        )
    rise = LinearLR(optimizer, config.warmup_start, total_iters=warmup)
    if isinstance(config, StepSchedule | MultiStepSchedule):  # their lengths include the warm-up
        return ChainedScheduler([rise, _after_warmup(config, optimizer, steps, unit)], optimizer)
    return SequentialLR(optimizer, [rise, _after_warmup(config, optimizer, steps - warmup, unit)], [warmup])


def _after_warmup(config: Schedule, optimizer: Optimizer, steps: int, unit: int) -> LRScheduler:
    match config:
        case StepSchedule():
            return StepLR(optimizer, config.every * unit, config.factor)
        case MultiStepSchedule():
            return MultiStepLR(optimizer, [each * unit for each in config.milestones], config.factor)
        case CosineSchedule():
            return CosineAnnealingLR(optimizer, steps, eta_min=config.final_factor)
        case LinearSchedule():
            return LinearLR(optimizer, 1.0, config.final_factor, total_iters=steps)
        case PolynomialSchedule():
            return PolynomialLR(optimizer, steps, config.power)
        case _:
            return LinearLR(optimizer, 1.0, 1.0, total_iters=1)


def _one_cycle(config: OneCycleSchedule, optimizer: Optimizer, steps: int) -> OneCycleLR:
    if config.rise * steps <= 1:
        problem = f"of {steps} optimiser steps it leaves none to rise in"
        raise ConfigError(
            "optim.schedule.rise", config.rise, problem, "train longer, or use another schedule"
        )
    return OneCycleLR(
        optimizer,
        max_lr=1.0,
        total_steps=steps,
        pct_start=config.rise,
        anneal_strategy="cos" if config.anneal == "cosine" else "linear",
        cycle_momentum=False,
        div_factor=1 / config.initial_factor,
        final_div_factor=config.initial_factor / config.final_factor,
    )
