"""One attempt at a trial, as seen from its function: events, checkpoints and metrics."""

import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import mkdtemp
from time import perf_counter
from typing import Any, SupportsFloat

from torch import Tensor

from l2rw_ray.errors import InputError, NonFiniteError
from l2rw_ray.events import (
    Emit,
    EpochCompleted,
    Event,
    TrialEnded,
    TrialStarted,
    TrialStatus,
    Verdict,
)
from l2rw_ray.measurement import SYSTEM, SystemLoad, describe_hardware
from l2rw_ray.printable import is_unicode
from l2rw_ray.training.checkpoint import CheckpointSchedule, restored_history
from l2rw_ray.training.determinism import restore_rng, rng_state
from l2rw_ray.training.functions.saved_state import State, StateSource, restored, stored
from l2rw_ray.training.options import TrainingOptions
from l2rw_ray.training.ranks import Ranks

_STATE, _GENERATORS = "function", "generators"


@dataclass(frozen=True)
class Report:
    """What a function reports of an epoch; see `Trial.report`."""

    metrics: Mapping[str, SupportsFloat]
    epoch: int | None = None
    step: int | None = None
    checkpoint: StateSource | None = None


@dataclass(frozen=True)
class Restored:
    """What a trial resumes from; see `Checkpoint`."""

    epoch: int
    step: int
    state: State
    metrics: Mapping[str, float]


class TrialSession:
    """Turns what a function reports into events, and keeps its checkpoints.

    All ranks have one; rank 0's emits and saves.

    Attributes:
        history: Epochs so far, those before a restored checkpoint included.

    Args:
        trial_id: The trial's fingerprint.
        emit: Receives the events on rank 0, and answers whether training continues.
        options: How the trial is run.
        epochs: Epochs that it will report; None where that is not known.
    """

    def __init__(
        self,
        trial_id: str = "",
        emit: Emit = lambda event: Verdict.CONTINUE,
        options: TrainingOptions = TrainingOptions(),  # noqa: B008  # frozen
        epochs: int | None = None,
    ) -> None:
        self.trial_id, self.options, self._emit, self._epochs = trial_id, options, emit, epochs
        self.history: list[EpochCompleted] = []
        self._final: dict[str, float] | None = None
        self._saved: dict[str, Any] | None = None
        self._is_resumed = False
        self._verdict = Verdict.CONTINUE
        self._earlier_s, self._started = 0.0, perf_counter()
        self._reported = self._started
        self._folder: Path | None = None
        checkpoints = options.checkpoints
        self._schedule = CheckpointSchedule(checkpoints.policy) if checkpoints else None
        is_sampled = options.system_metrics and options.ranks.leads
        self._load = SystemLoad(options.device) if is_sampled else None

    @property
    def ranks(self) -> Ranks:
        """This process among the trial's workers."""
        return self.options.ranks

    @property
    def emit(self) -> Emit:
        """Receives the events on rank 0."""
        return self._emit

    @property
    def folder(self) -> Path:
        """A temporary folder of this attempt."""
        if self._folder is None:
            self._folder = Path(mkdtemp(prefix="l2rw-trial-"))
        return self._folder

    @property
    def metrics(self) -> dict[str, float]:
        """Latest value of each metric, the final ones included."""
        reported = (metric for epoch in self.history for metric in epoch.metrics.items())
        latest = {name: value for name, value in reported if not name.startswith(SYSTEM)}
        return latest | (self._final or {})

    @property
    def _epoch(self) -> int:
        return int(self.history[-1].epoch) if self.history else 0

    def start(self) -> None:
        """Look for a checkpoint and emit the trial's start."""
        checkpoints = self.options.checkpoints
        if checkpoints is not None:  # rank 0's view of the folder counts: other nodes may have another
            found = checkpoints.load(self._misfit) if self.ranks.leads else None
            self._saved = self.ranks.broadcast(found)
        if self._saved is not None:
            self.history = restored_history(self._saved["history"])
            self._earlier_s = self._saved["elapsed_s"]
        self._emit_start()

    def report(self, report: Report) -> Verdict:
        """Emit an epoch, and save the trial where that is due. Returns whether to continue, on all ranks."""
        if self._final is not None:
            raise InputError("report", list(report.metrics), "the trial is finished", "report before finish")
        self._forget_unused_checkpoint()
        now = perf_counter()
        epoch = self._epoch + 1 if report.epoch is None else report.epoch + 1
        if epoch < self._epoch or epoch < 1:
            remedy = "count on from trial.restore().epoch" if self._is_resumed else "count from 0"
            raise InputError("epoch", report.epoch, f"epoch {self._epoch - 1} was reported before", remedy)
        step = epoch if report.step is None else report.step
        metrics = _numbers(report.metrics, step)
        if self._load:
            metrics |= self._load.sample()
        duration_s, self._reported = now - self._reported, now
        if self.history and self.history[-1].epoch == epoch:
            duration_s += self.history.pop().duration_s
        event = EpochCompleted(
            trial_id=self.trial_id, epoch=epoch, step=step, duration_s=duration_s, metrics=metrics
        )
        self.history.append(event)
        self._verdict, is_due = self.ranks.broadcast(self._answer(event, report.checkpoint))
        if is_due:
            self._save(report.checkpoint)
        return self._verdict

    def restore(self) -> Restored | None:
        """Return what the last attempt saved, and restore the generators; None for a fresh start."""
        if self._saved is None:
            return None
        self._is_resumed, saved = True, self._saved
        state = restored(saved[_STATE], self._new_folder("restored"))
        restore_rng(saved[_GENERATORS][self.ranks.rank])
        return Restored(saved["epoch"], saved["step"], state, self.metrics)

    def finish(self, metrics: Mapping[str, SupportsFloat]) -> None:
        """Record the final metrics."""
        if self._final is not None:
            raise InputError("finish", list(metrics), "the trial is finished already", "call it once")
        self._forget_unused_checkpoint()
        self._final = _numbers(metrics, self.history[-1].step if self.history else 0)

    def end(self, warnings: Callable[[Mapping[str, float]], tuple[str, ...]] = lambda metrics: ()) -> None:
        """Emit the trial's end: a stopped one where its function obeyed a stop, else a completed one.

        Args:
            warnings: Returns what is odd about the final metrics.
        """
        self._forget_unused_checkpoint()
        stopped = self._verdict is Verdict.STOP and self._final is None
        checkpoints = self.options.checkpoints
        self._send(
            TrialEnded(
                trial_id=self.trial_id,
                status=TrialStatus.STOPPED if stopped else TrialStatus.COMPLETED,
                epochs=self._epoch,
                steps=self.history[-1].step if self.history else 0,
                duration_s=self._elapsed_s(),
                metrics=self.metrics,
                warnings=(
                    *(() if stopped else warnings(self.metrics)),
                    *(checkpoints.warnings if checkpoints else ()),
                ),
            )
        )

    def close(self) -> None:
        """Delete the files of this attempt."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _answer(self, event: EpochCompleted, checkpoint: StateSource | None) -> tuple[Verdict, bool] | None:
        """Return, on rank 0, whether to continue, and whether to save."""
        if not self.ranks.leads:
            return None
        verdict = self._emit(event)
        can_be_saved = checkpoint is not None and self._schedule is not None
        is_due = can_be_saved and (verdict is Verdict.STOP or self._is_due(event.epoch))
        return verdict, is_due

    def _is_due(self, epoch: float) -> bool:
        return self._schedule is not None and self._schedule.is_due(epoch)

    def _save(self, checkpoint: StateSource | None) -> None:
        """Save the trial; all ranks call this."""
        assert self._schedule is not None
        self._schedule.saved(self._epoch)
        state = checkpoint() if callable(checkpoint) else checkpoint
        generators = self.ranks.gather(rng_state())
        if not self.ranks.leads or self.options.checkpoints is None or state is None:
            return
        self.options.checkpoints.save(
            {
                _STATE: stored(state),
                _GENERATORS: generators,
                "epoch": self._epoch,
                "step": self.history[-1].step,
                "elapsed_s": self._elapsed_s(),
                "history": [asdict(epoch) for epoch in self.history],
            }
        )

    def _misfit(self, state: Mapping[str, Any]) -> str | None:
        """Return why a checkpoint cannot be resumed from, or None."""
        if not {_STATE, _GENERATORS, "epoch", "history", "elapsed_s"} <= state.keys():
            return "with other parts"
        is_alike = len(state[_GENERATORS]) == self.ranks.world_size
        return None if is_alike else "of another number of workers"

    def _forget_unused_checkpoint(self) -> None:
        """Start over where the function has not asked for the checkpoint that there was."""
        if self._saved is None or self._is_resumed:
            return
        self._saved, self.history, self._earlier_s = None, [], 0.0
        self._emit_start()

    def _emit_start(self) -> None:
        self._send(
            TrialStarted(
                trial_id=self.trial_id,
                attempt=self.options.attempt,
                world_size=self.ranks.world_size,
                device=self.options.device.type,
                hardware=describe_hardware(self.options.device),
                train_examples=None,
                epochs=self._epochs or 0,
                split_hashes={},
                class_counts={},
                history=tuple(self.history),
                elapsed_s=self._earlier_s,
            )
        )

    def _send(self, event: Event) -> None:
        if self.ranks.leads:
            self._emit(event)

    def _elapsed_s(self) -> float:
        return self._earlier_s + perf_counter() - self._started

    def _new_folder(self, name: str) -> Path:
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder


def _numbers(metrics: Mapping[str, SupportsFloat], step: int) -> dict[str, float]:
    """Return metrics as finite floats.

    Raises:
        InputError: A name is no text, or a value no number.
        NonFiniteError: A value is NaN or infinite.
    """
    found: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, str | bytes):
            raise _no_number(name, value)
        try:
            found[name] = float(value.detach() if isinstance(value, Tensor) else value)
        except OverflowError as error:
            given = type(value).__name__
            if isinstance(value, int):
                given = f"about 1e{math.floor(math.log10(abs(value)))}"
            problem = "a number too large for a float"
            raise InputError(str(name), given, problem, "report it in a larger unit") from error
        except (TypeError, ValueError, RuntimeError) as error:
            raise _no_number(name, value) from error
        if not isinstance(name, str) or not name or not is_unicode(name):
            raise InputError("metrics", name, "no name of a metric", "use text")
        if not math.isfinite(found[name]):
            raise NonFiniteError(step, name)
    return found


def _no_number(name: object, value: object) -> InputError:
    return InputError(str(name), value, f"a metric of type {type(value).__name__}", "report a number")
