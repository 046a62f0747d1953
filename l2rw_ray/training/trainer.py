"""Train one trial, from its splits to its test metrics."""

import math
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, replace
from itertools import islice
from time import perf_counter
from typing import Any

from l2rw_ray.config import PlannedTrial
from l2rw_ray.data import Batch, ReadParts, Splits, epoch_batches, read_here, steps_per_epoch
from l2rw_ray.errors import NonFiniteError
from l2rw_ray.events import Emit, EpochCompleted, Event, TrialEnded, TrialStatus, Verdict
from l2rw_ray.import_path import load
from l2rw_ray.measurement import SYSTEM, PhaseTimer, SystemLoad
from l2rw_ray.methods import Epoch, StagedMethod, StepOutcome, build_method
from l2rw_ray.training.arithmetic.precision import TrialScaler, autocast
from l2rw_ray.training.checkpoint import CheckpointSchedule, restored_history, state_misfit
from l2rw_ray.training.context import build_context, scaled_for_weights
from l2rw_ray.training.custom_metrics import load_metrics
from l2rw_ray.training.determinism import reset_process, restore_rng, rng_state, seed_globals
from l2rw_ray.training.epoch_statistics import EpochStatistics
from l2rw_ray.training.evaluation import Evaluation, evaluate
from l2rw_ray.training.examples.evidence import ExampleEvidence
from l2rw_ray.training.examples.trial_examples import collect_examples, stored_examples
from l2rw_ray.training.loop.length import Position, TrialLength, stages_of
from l2rw_ray.training.loop.start import start_event
from l2rw_ray.training.loop.taken_step import TakenStep
from l2rw_ray.training.optim.schedules import learning_rates
from l2rw_ray.training.options import TrainingOptions
from l2rw_ray.training.overhead_probe import probe_overhead
from l2rw_ray.training.ranks import unwrapped
from l2rw_ray.training.saved_model import stored_model, trained_model
from l2rw_ray.training.score_checks import ScoreChecks
from l2rw_ray.training.selection import BestEpoch
from l2rw_ray.training.weight_health import health_warnings

_PROBE_BATCHES = 4


def train_trial(
    trial: PlannedTrial,
    splits: Splits,
    emit: Emit,
    options: TrainingOptions = TrainingOptions(),  # noqa: B008  # frozen
) -> None:
    """Train and evaluate one trial. All its ranks call this, with arguments that differ in `ranks` alone.

    Args:
        trial: What to train.
        splits: Its data, as `make_splits` returned it for the trial's seed.
        emit: Receives the events, on rank 0 only; all ranks obey its answer to an `EpochCompleted`.
        options: How to run it.

    Raises:
        NonFiniteError: A loss or score became NaN or infinite.
        InputError: The model or its data cannot be used.
    """
    Trainer(trial, splits, emit, options).run()


class Trainer:
    """The state of one running trial; the arguments are those of `train_trial`."""

    def __init__(self, trial: PlannedTrial, splits: Splits, emit: Emit, options: TrainingOptions) -> None:
        for field, path in trial.config.import_paths.items():
            load(path, field)  # before anything is seeded: an import may draw random numbers
        reset_process(trial.resources.cpus_per_worker, tf32=trial.built_in.tf32)
        self._trial, self._config, self._options = trial, trial.built_in, options
        self._emit, self._ranks, self._device = emit, options.ranks, options.device
        self._splits = scaled_for_weights(splits, self._config).to(options.device)
        self._timer = PhaseTimer(options.device, synchronise=False)
        self._context = build_context(trial, self._splits, options.ranks, options.device)
        self._scaler: TrialScaler | None = self._context.update_options.get("scaler")
        self._method = build_method(self._config.method, self._context)
        self._length = TrialLength.of(self._config, len(self._splits.train), options.ranks.world_size)
        self._at, self._reported = Position(), Epoch()
        stages = stages_of(self._config, self._length)
        self._rates = learning_rates(
            self._context.optimizer,
            self._config.optim,
            stages,
            self._length.updates_per_epoch,
            self._length.updates_left_out,
        )
        self._best = BestEpoch(
            self._config.selection,
            is_regression=splits.is_regression,
            first_epoch=self._length.epochs - stages[-1].epochs,
        )
        self._metrics = load_metrics(self._config.metrics)
        self._earlier_s, self._started = 0.0, perf_counter()
        self._checks = ScoreChecks()
        self._history: list[EpochCompleted] = []
        self._probed: dict[str, float] = {}
        self._checkpoints = options.checkpoints
        self._schedule = CheckpointSchedule(self._checkpoints.policy) if self._checkpoints else None
        self._evidence = self._new_evidence()
        self._load = SystemLoad(options.device) if options.system_metrics and options.ranks.leads else None

    def run(self) -> None:
        """Train until the end, until patience is over, or until an answer to an event stops the trial."""
        seed_globals(self._trial.seed_of("order"), "training", self._ranks.rank)
        self._resume()
        history, epochs = tuple(self._history), self._length.exact_epochs
        earlier_s = self._earlier_s
        self._send(start_event(self._trial, self._splits, self._options, epochs, history, earlier_s))
        self._probe()
        status = TrialStatus.COMPLETED
        with closing(self._steps()) as steps:
            while not self._best.is_patience_over and (event := self._until_evaluation(steps)):
                verdict = self._send(event)
                self._save(at_once=verdict is Verdict.STOP)
                if verdict is Verdict.STOP:
                    status = TrialStatus.STOPPED
                    break
        self._end(status)

    def _until_evaluation(self, steps: Iterator[TakenStep]) -> EpochCompleted | None:
        """Train until the next evaluation, and make it; None where the training is over."""
        started, first = perf_counter(), self._at.step
        statistics = EpochStatistics(self._splits.train, self._length.epoch_steps, first, self._device)
        for taken in steps:
            statistics.add(self._at.step - first - 1, taken.batch, taken.outcome, is_train=taken.is_train)
            if self._length.is_due(self._at, first):
                break
        return None if self._at.step == first else self._evaluated(statistics, started)

    def _steps(self) -> Generator[TakenStep]:
        while not self._length.is_over(self._at):
            yield from self._pass()

    def _pass(self) -> Generator[TakenStep]:
        """Make the steps of an epoch, or those that are left of one, and give each when it is done."""
        at, method = self._at, self._method
        if not at.step_in_epoch:
            self._rates.begin_epoch(at.epoch)
        with self._timer("stage"), self._autocast():
            plan = method.begin_epoch(at.epoch) if isinstance(method, StagedMethod) else Epoch()
        self._reported, train = plan, self._splits.train
        examples = train if plan.examples is None else plan.examples
        visited, batch_size = examples if plan.order is None else plan.order, self._config.optim.batch_size
        at.steps_in_epoch = steps_per_epoch(len(visited), batch_size, self._ranks.world_size)
        end = min(self._length.end_of_epoch(at), self._options.epoch_steps or at.steps_in_epoch)
        with closing(self._batches(at.epoch, plan, self._options.read_parts, at.step_in_epoch)) as batches:
            if not end:
                self._end_pass(plan)
            for place in range(at.step_in_epoch, end):
                with self._timer("data"):
                    batch = next(batches)
                if place + 1 == end:
                    batch = replace(batch, is_last=True)
                with self._timer("step"), self._autocast():
                    outcome = method.step(batch, at.step, at.epoch)
                self._count(batch, outcome, is_train=examples is train)
                if place + 1 == end:
                    self._end_pass(plan)
                yield TakenStep(batch, outcome, examples is train)

    def _count(self, batch: Batch, outcome: StepOutcome, *, is_train: bool) -> None:
        at = self._at
        at.step_in_epoch, at.step, at.skipped = (
            at.step_in_epoch + 1,
            at.step + 1,
            at.skipped + outcome.skipped,
        )
        at.is_updated = batch.is_last or at.step_in_epoch % self._length.accumulation_steps == 0
        if at.is_updated:
            self._rates.advance()
        self._checks.add(outcome)
        if self._evidence and is_train:
            self._evidence.add(at.epoch, batch, outcome)

    def _end_pass(self, plan: Epoch) -> None:
        """Go on to the next epoch, unless the trial ends within this one."""
        at = self._at
        if self._evidence:
            self._evidence.end_epoch(at.epoch, self._ranks, is_chosen=plan.order is not None)
        if at.step_in_epoch in (at.steps_in_epoch, self._options.epoch_steps):
            at.epoch, at.step_in_epoch = at.epoch + 1, 0

    def _evaluated(self, statistics: EpochStatistics, started: float) -> EpochCompleted:
        at = self._at
        self._ranks.share_buffers(self._context.model)  # all ranks evaluate and save the same model
        if self._evidence:
            self._evidence.gather(self._ranks)
        with self._timer("evaluation"):
            summary = statistics.summarise(self._ranks, self._length.evaluations)
            metrics = summary.metrics | self._evaluate("validation").metrics
        if summary.weights:
            metrics["skipped_steps"] = float(at.skipped)
        metrics |= self._checks.metrics | self._rates.metrics
        if self._scaler is not None:
            metrics |= self._scaler.metrics
        if self._load:
            metrics |= self._load.sample()
        event = EpochCompleted(
            trial_id=self._trial.trial_id,
            epoch=at.epochs,
            step=at.step,
            duration_s=perf_counter() - started,
            metrics={**metrics, **self._reported.metrics},
            weights=summary.weights,
            series=summary.series,
            estimator_used=self._checks.estimator,
        )
        self._history.append(event)
        self._best.add(at.epochs, metrics, unwrapped(self._context.model).state_dict)
        return event

    def _batches(self, epoch: int, plan: Epoch, read_parts: ReadParts, first: int = 0) -> Generator[Batch]:
        train = self._splits.train
        return epoch_batches(
            train if plan.examples is None else plan.examples,
            self._config.optim.batch_size,
            self._trial.seed_of("order"),
            epoch,
            self._ranks.rank,
            self._ranks.world_size,
            order=plan.order,
            augment=self._config.data.augment if plan.examples is None else (),
            read_parts=read_parts,
            first=first,
            num_workers=self._config.data.num_workers,
        )

    def _autocast(self) -> AbstractContextManager[object]:
        return autocast(self._config.precision, self._device)

    def _evaluate(self, name: str) -> Evaluation:
        """Return the metrics of a set by their names in the ledger, with the outcomes of test examples."""
        with self._autocast():
            found = evaluate(
                self._context.model,
                getattr(self._splits, name),
                len(self._splits.class_names),
                self._context.loss_fn,
                self._ranks,
                self._metrics,
                self._config.data.num_workers,
                keep_outcomes=name == "test",
            )
        for metric, value in found.metrics.items():
            if not math.isfinite(value):
                raise NonFiniteError(self._at.step, f"{name}_{metric}")
        return replace(found, metrics={f"{name}_{metric}": value for metric, value in found.metrics.items()})

    def _probe(self) -> None:
        if self._probed or self._at.step:
            return
        with closing(self._batches(0, Epoch(), read_here)) as epoch:  # only its first few
            batches = list(islice(epoch, _PROBE_BATCHES))
        self._probed = probe_overhead(self._config, self._context, batches, self._ranks)

    def _end(self, status: TrialStatus) -> None:
        # an epoch without new weights lacks their metrics: take the latest of each
        reported = (metric for event in self._history for metric in event.metrics.items())
        latest = {name: value for name, value in reported if not name.startswith(SYSTEM)}
        latest |= self._select()
        tested = self._evaluate("test")
        warnings = (*self._warnings(), *self._save_model(), *self._keep_examples())
        metrics = latest | tested.metrics | self._probed
        if self._splits.left_out:
            metrics["left_out_examples"] = float(self._splits.left_out)
        metrics |= {f"time_{phase}_s": total for phase, total in sorted(self._timer.total_s.items())}
        self._send(
            TrialEnded(
                trial_id=self._trial.trial_id,
                status=status,
                epochs=self._at.epochs,
                steps=self._at.step,
                duration_s=self._elapsed_s(),
                metrics=metrics,
                warnings=warnings,
                confusion=tested.confusion(self._splits.class_names),
                outcomes=tested.outcomes,
            )
        )

    def _select(self) -> dict[str, float]:
        """Take the selected model. Returns its validation metrics and its epoch; nothing for the last one."""
        epoch = self._best.epoch
        if epoch is None:
            return {}
        unwrapped(self._context.model).load_state_dict(self._best.model)
        metrics = next(event.metrics for event in self._history if event.epoch == epoch)
        selected = {name: value for name, value in metrics.items() if name.startswith("validation_")}
        return {**selected, "selected_epoch": float(epoch)}

    def _save_model(self) -> tuple[str, ...]:
        """Save the model if asked to. Returns a warning where that failed."""
        file = self._options.model_file
        if file is None or not self._ranks.leads:
            return ()
        return stored_model(file, trained_model(self._context.model, self._config, self._splits))

    def _new_evidence(self) -> ExampleEvidence | None:
        if self._options.keep_examples is None:
            return None
        return ExampleEvidence(len(self._splits.train), self._length.epochs, self._device)

    def _keep_examples(self) -> tuple[str, ...]:
        """Store evidence on each label if asked to. Returns a warning where that failed."""
        if self._evidence is None or self._options.keep_examples is None:
            return ()
        model, read_parts = self._context.model, self._options.read_parts
        with self._autocast():
            found = collect_examples(
                model, self._splits, self._evidence, self._ranks, self._at.step, read_parts
            )
        if not self._ranks.leads:
            return ()
        return stored_examples(self._options.keep_examples, found)

    def _warnings(self) -> tuple[str, ...]:
        of_health = health_warnings(
            [event.metrics for event in self._history],
            min(self._config.optim.batch_size, len(self._splits.train)),
            self._splits.train.corrupted_fraction,
        )
        return (*of_health, *(self._checkpoints.warnings if self._checkpoints else ()))

    def _send(self, event: Event) -> Verdict:
        """Emit an event on rank 0. Returns the answer on every rank, so that all stop together."""
        return self._ranks.broadcast(self._emit(event) if self._ranks.leads else None)

    def _elapsed_s(self) -> float:
        return self._earlier_s + perf_counter() - self._started

    def _save(self, *, at_once: bool) -> None:
        """Write a checkpoint if one is due, which may not be every epoch."""
        if self._checkpoints is None or self._schedule is None:
            return
        if not self._ranks.broadcast(at_once or self._schedule.is_due(self._at.epochs)):
            return
        self._schedule.saved(self._at.epochs)
        generators = self._ranks.gather(rng_state())
        if not self._ranks.leads:
            return
        with self._timer("checkpoint"):
            self._checkpoints.save(self._state() | {"generators": generators})

    def _state(self) -> dict[str, Any]:
        parts: dict[str, Any] = {"evidence": self._evidence.state_dict()} if self._evidence else {}
        if position := self._rates.state_dict():
            parts["learning_rates"] = position
        if best := self._best.state_dict():
            parts["best_epoch"] = best
        if self._scaler is not None:
            parts["scaler"] = self._scaler.state_dict()
        if not self._length.stays_in_epochs:
            parts["place"] = [self._at.step_in_epoch, self._at.steps_in_epoch]
        return parts | {
            "model": unwrapped(self._context.model).state_dict(),
            "optimizer": self._context.optimizer.state_dict(),
            "arm": self._method.state_dict(),  # name kept from release 0.1
            "epoch": self._at.epoch,
            "step": self._at.step,
            "skipped": self._at.skipped,
            "elapsed_s": self._elapsed_s(),
            "times_s": dict(self._timer.total_s),
            "probed": self._probed,
            "history": [asdict(event) for event in self._history],
        }

    def _resume(self) -> None:
        """Resume from the last usable checkpoint, if there is one."""
        if self._checkpoints is None or self._schedule is None:
            return
        # rank 0's view of the folder counts: other nodes may have another folder
        state: dict[str, Any] | None = self._ranks.broadcast(
            self._checkpoints.load(self._misfit) if self._ranks.leads else None
        )
        if state is None:
            return
        unwrapped(self._context.model).load_state_dict(state["model"])
        self._context.optimizer.load_state_dict(state["optimizer"])
        self._rates.load_state_dict(state.get("learning_rates", {}), state["epoch"])
        self._best.load_state_dict(state.get("best_epoch", {}))
        if self._scaler is not None:
            self._scaler.load_state_dict(state["scaler"])
        self._method.load_state_dict(state["arm"])
        place, steps_in_epoch = state.get("place", (0, 1))
        self._at = Position(state["epoch"], place, steps_in_epoch, state["step"], state["skipped"])
        if self._evidence:
            self._evidence.load_state_dict(state["evidence"])
        self._earlier_s, self._probed = state["elapsed_s"], state["probed"]
        self._timer.total_s.update(state["times_s"])
        self._history = restored_history(state["history"])
        if self._history:
            self._checks.resume(self._history[-1])
        self._schedule.saved(self._at.epochs)
        restore_rng(state["generators"][self._ranks.rank])

    def _misfit(self, state: dict[str, Any]) -> str | None:
        """Return why a checkpoint cannot be resumed from, or None."""
        no_longer_kept = {"evidence"} if self._evidence is None else set()
        return state_misfit(state, self._state(), no_longer_kept, self._ranks.world_size)
