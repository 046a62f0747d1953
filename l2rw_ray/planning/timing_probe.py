"""Estimate how long a study takes from a few timed steps of each kind of trial."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from time import perf_counter

import torch

from l2rw_ray.config import PlannedTrial, TrialConfig
from l2rw_ray.config.method.methods import MethodConfig
from l2rw_ray.config.method.stages import TwoStageConfig
from l2rw_ray.config.schedule import CONSTANT
from l2rw_ray.config.section import Section
from l2rw_ray.config.training.length import EVERY_EPOCH
from l2rw_ray.data import ExampleSet, Source, Splits, load_source, make_splits, steps_per_epoch
from l2rw_ray.errors import NonFiniteError
from l2rw_ray.events import EpochCompleted, Event, TrialEnded, Verdict
from l2rw_ray.planning.cost_groups import CostGroup, distance, farthest_first, group_by_cost
from l2rw_ray.planning.function_probe import Estimate, probe_functions
from l2rw_ray.training import TrainingOptions, train_trial
from l2rw_ray.training.optim.optimizers import build_optimizer
from l2rw_ray.training.overhead_probe import BETWEEN_STEPS

_MAX_COST_GROUPS = 24
"""Largest number of groups to time."""
_BUDGET_S = 120.0
"""Time after which no further group is started."""
_STEPS = 5
"""Steps of a timed epoch, or the cycle of a method that computes weights less often than that."""
_EPOCHS = 2
"""Timed epochs, the first of which warms up; one more for methods of two stages."""
_EVALUATED = 500
"""Largest number of examples evaluated of the validation and of the test set."""


@dataclass(frozen=True)
class _Cost:
    """Fixed cost of a trial, cost of an epoch's steps and of an evaluation, and the steps of an epoch."""

    once_s: float
    epoch_s: float
    evaluation_s: float
    epoch_steps: int = 1

    def of(self, trial: PlannedTrial, size_ratio: float) -> float:
        optim, every = trial.built_in.optim, trial.built_in.evaluate_every
        steps_per_epoch = max(self.epoch_steps * size_ratio, 1.0)
        epochs = optim.epochs or (optim.steps or 1) / steps_per_epoch
        interval = every.epochs or (every.steps or 1) / steps_per_epoch
        evaluations = math.ceil(epochs / interval)
        return self.once_s + self.epoch_s * size_ratio * epochs + self.evaluation_s * evaluations


def probe_trials(trials: Sequence[PlannedTrial]) -> Estimate:
    """Estimate how long these trials take, from a few steps of each kind.

    Args:
        trials: At least one.

    Raises:
        InputError: Data, a model or a method cannot be used.
        NonFiniteError: Every trial tried diverges within its first steps.
    """
    if not isinstance(trials[0].config, TrialConfig):
        return probe_functions(trials)
    kinds = group_by_cost(trials)
    ungrouped = trials[0].built_in.optim.model_copy(update={"groups": (), "further": ()})
    build_optimizer(ungrouped, torch.nn.Linear(1, 1))  # torch imports more for the first
    sources: dict[str, Source] = {}
    costs: list[tuple[CostGroup, _Cost]] = []
    diverged: NonFiniteError | None = None
    started = perf_counter()
    for kind in farthest_first(kinds, _MAX_COST_GROUPS):
        if costs and perf_counter() - started > _BUDGET_S:
            break
        try:
            costs.append((kind, _time(kind.trials[0], sources)))
        except NonFiniteError as error:  # such a trial fails, which is no reason not to plan the others
            diverged = error
    if not costs and diverged:
        raise diverged
    trials_s: list[float] = []
    for kind in kinds:
        near, cost = min(costs, key=lambda timed: distance(kind, timed[0]))
        ratio = kind.train_size / near.train_size if kind.train_size and near.train_size else 1.0
        trials_s += [cost.of(trial, ratio) for trial in kind.trials]
    return Estimate(fmean(trials_s), len(costs), len(kinds), max(trials_s))


def _time(trial: PlannedTrial, sources: dict[str, Source]) -> _Cost:
    whole = _splits(trial, sources)
    fewer = replace(whole, validation=_thinned(whole.validation), test=_thinned(whole.test))
    of_epoch = steps_per_epoch(len(whole.train), trial.built_in.optim.batch_size)
    cycle = trial.built_in.method.steps_per_meta_gradient
    steps = min(cycle * math.ceil(_STEPS / cycle), of_epoch)
    observer = _TimingObserver(_EPOCHS + isinstance(trial.built_in.method, TwoStageConfig))
    train_trial(_shortened(trial), fewer, observer, TrainingOptions(epoch_steps=steps))
    cost = observer.cost(
        of_epoch / steps,
        len(whole.validation) / max(len(fewer.validation), 1),
        len(whole.test) / max(len(fewer.test), 1),
    )
    rounds_left = max(trial.built_in.measurement.probe_rounds - 1, 0)
    cost = replace(cost, epoch_steps=of_epoch)
    return replace(cost, once_s=cost.once_s + rounds_left * observer.round_s(trial.built_in.method))


def _shortened(trial: PlannedTrial) -> PlannedTrial:
    """Return the trial with a short overhead measurement and a short first stage."""
    rounds = min(trial.built_in.measurement.probe_rounds, 1)
    measurement = trial.built_in.measurement.model_copy(update={"probe_rounds": rounds})
    method = trial.built_in.method
    changes: dict[str, Section] = {"measurement": measurement, "evaluate_every": EVERY_EPOCH}
    if isinstance(method, TwoStageConfig):  # so that the second of the timed epochs begins the second stage
        changes["method"] = method.model_copy(update={"first_epochs": 1})
        constant = {"schedule": CONSTANT}  # a warm-up may not fit into so short a stage
        changes["optim"] = trial.built_in.optim.model_copy(update=constant)
    return replace(trial, config=trial.built_in.model_copy(update=changes))


def _splits(trial: PlannedTrial, sources: dict[str, Source]) -> Splits:
    only = trial.built_in.data.source_only()
    name = only.model_dump_json()
    if name not in sources:
        sources[name] = load_source(only)
    return make_splits(sources[name], trial.built_in.data_for_model, trial.seed_of("split"))


def _thinned(examples: ExampleSet) -> ExampleSet:
    """Return a stratified subset of the examples."""
    if len(examples) <= _EVALUATED:
        return examples
    by_class = examples.labels.argsort(stable=True)
    kept = by_class[torch.linspace(0, len(examples) - 1, _EVALUATED).long()]
    places = kept if examples.places is None else examples.places[kept]
    rows, labels = examples.rows[kept], examples.labels[kept]
    targets = None if examples.targets is None else examples.targets[kept]
    corrupted = examples.corrupted[kept]
    unverified = None if examples.unverified is None else examples.unverified[kept]
    fewer = replace(examples, labels=labels, targets=targets, rows=rows, places=places)
    return replace(fewer, corrupted=corrupted, unverified=unverified)


class _TimingObserver:
    """Observes a trial, stops it after its timed epochs and computes their cost."""

    def __init__(self, epochs: int) -> None:
        self._max_epochs, self._epochs = epochs, list[EpochCompleted]()
        self._ended: TrialEnded | None = None
        self._last, self._test_s = 0.0, 0.0

    def __call__(self, event: Event) -> Verdict:
        if isinstance(event, EpochCompleted):
            self._epochs.append(event)
            self._last = perf_counter()
        elif isinstance(event, TrialEnded):
            self._ended, self._test_s = event, perf_counter() - self._last
        return Verdict.STOP if len(self._epochs) == self._max_epochs else Verdict.CONTINUE

    def round_s(self, method: MethodConfig) -> float:
        """Duration of one round of the overhead measurement: plain and reweighted steps."""
        assert self._ended is not None
        metrics = self._ended.metrics
        sorts = min(method.steps_per_weight_update, BETWEEN_STEPS + 1)
        return metrics.get("step_time_plain_s", 0.0) + sorts * metrics.get("step_time_s", 0.0)

    def cost(self, steps_ratio: float, validation_ratio: float, test_ratio: float) -> _Cost:
        """Return the cost of the whole trial, scaled to its epochs and sets."""
        assert self._ended is not None
        durations_s, stage_s = [e.duration_s for e in self._epochs], self._ended.metrics["time_stage_s"]
        if len(durations_s) < 3:  # judged in the last of them, or not at all
            durations_s[-1] -= stage_s
        evaluation_s = min(self._ended.metrics["time_evaluation_s"] / len(self._epochs), durations_s[-1])
        warming_up_s = max(durations_s[0] - durations_s[-1], 0.0)
        set_up_s = self._ended.duration_s - sum(e.duration_s for e in self._epochs) - self._test_s
        return _Cost(
            set_up_s + warming_up_s + stage_s + self._test_s * test_ratio,
            (durations_s[-1] - evaluation_s) * steps_ratio,
            evaluation_s * validation_ratio,
        )
