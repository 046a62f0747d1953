"""Show the progress of a run: a live table on a terminal, a line per trial elsewhere."""

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from l2rw_ray.cli.console import Console
from l2rw_ray.cli.metric_text import epochs_text, metric_text, metric_title
from l2rw_ray.config import PlannedTrial
from l2rw_ray.config.functions.choice import COST
from l2rw_ray.events import AttemptLost, EpochCompleted, Event, TrialEnded, TrialStarted, TrialStatus
from l2rw_ray.planning.durations import duration_text
from l2rw_ray.results.trial_logs import found_log

_OTHER_LINES = 8
"""Lines of the page beside those of running trials."""
_FEWEST_ROWS = 3


@dataclass
class _Running:
    label: str
    epochs: float
    epoch: float = 0
    value: float | None = None


def bar_line(done: int, total: int) -> Table:
    """Return a bar on a line of its own."""
    line = Table.grid()
    line.add_row(ProgressBar(total=total, completed=done, width=60))
    return line


class ProgressDisplay:
    """Observer that updates a table on a terminal, and prints a line per trial elsewhere.

    Args:
        console: Where to print.
        study: The study's name.
        metric: The epoch metric to show, such as `validation_balanced_accuracy`.
        mode: Whether `max` or `min` of it is best.
        logs: Folder of the trials' logs; None to name none.
        is_percent: Whether the study declares the metric as a percentage; None where it does not declare it.
    """

    def __init__(
        self,
        console: Console,
        study: str,
        metric: str,
        mode: str = "max",
        logs: Path | None = None,
        *,
        is_percent: bool | None = None,
    ) -> None:
        self._is_percent = is_percent
        self._console, self._study, self._metric, self._logs = console, study, metric, logs
        self._is_better = operator.gt if mode == "max" else operator.lt
        self._best: tuple[float, str] | None = None
        self._failure: tuple[str, Path | None] | None = None
        self._trials: Mapping[str, PlannedTrial] = {}
        self._total: int | None = 0
        self._is_exact = True
        self._running: dict[str, _Running] = {}
        self._ended: dict[TrialStatus, int] = dict.fromkeys(TrialStatus, 0)
        self._groups, self._started = 0, monotonic()
        self._evaluations, self._done_epochs = 0, 0.0
        self._reached: dict[str, float] = {}
        self._lengths: dict[str, float] = {}
        self._first_epoch: float | None = None
        self._warned: set[str] = set()
        self._live = Live(get_renderable=self.render, console=console, refresh_per_second=4, transient=True)

    def begin(
        self, known: Mapping[str, PlannedTrial], total: int | None, groups: int, *, is_exact: bool
    ) -> None:
        """Start to show the trials; an `ObserverFactory` has the arguments.

        Args:
            known: Trials by id; it may grow.
            total: Maximum number of trials that will run; None when unknown.
            groups: Largest number of worker groups, and so of concurrent trials; they grow with the work.
            is_exact: Whether exactly `total` trials will run.
        """
        self._trials, self._total, self._groups, self._is_exact = known, total, groups, is_exact
        if not self._console.is_terminal:
            self._console.print(self._headline(), soft_wrap=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._console.print(self._headline(), soft_wrap=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Update the display."""
        match event:
            case TrialStarted():
                label = self._trials[event.trial_id].label
                done = event.history[-1].epoch if event.history else 0
                self._running[event.trial_id] = _Running(label, event.epochs, done)
                self._reached[event.trial_id] = done if event.epochs else 0
                self._lengths[event.trial_id] = event.epochs or 1
            case AttemptLost():
                self._running.pop(event.trial_id, None)
                self._print(f"retrying {self._trials[event.trial_id].label}: {event.reason}", "yellow")
            case EpochCompleted():
                self._update_epoch(event)
            case TrialEnded():
                running = self._running.pop(event.trial_id, None)
                planned = self._trials[event.trial_id].config.planned_epochs
                self._reached[event.trial_id] = planned or self._lengths.get(event.trial_id, 1)
                self._done_epochs += running is not None and not running.epochs
                self._ended[event.status] += 1
                self._note_best(event)
                self._print_end(event)

    def _update_epoch(self, event: EpochCompleted) -> None:
        running = self._running[event.trial_id]
        running.epoch, running.value = event.epoch, event.metrics.get(self._metric)
        self._evaluations += 1
        if running.epochs:
            self._done_epochs += event.epoch - self._reached[event.trial_id]
            self._reached[event.trial_id] = event.epoch
        if self._first_epoch is None:
            self._first_epoch, self._done_epochs = monotonic(), 0.0

    def _note_best(self, event: TrialEnded) -> None:
        value = event.metrics.get(self._metric, math.nan)
        if event.status is not TrialStatus.COMPLETED or not math.isfinite(value):
            return
        if self._best is None or self._is_better(value, self._best[0]):
            self._best = value, self._trials[event.trial_id].label

    def _print_end(self, event: TrialEnded) -> None:
        label = self._trials[event.trial_id].label
        if event.status in (TrialStatus.FAILED, TrialStatus.DIVERGED):
            self._print(f"{event.status}: {label}: {event.error}", "red")
            workers = self._trials[event.trial_id].resources.workers
            log = found_log(self._logs, event.trial_id, workers) if self._logs else None
            self._failure = f"{label}: {event.error}", log
        elif event.status is TrialStatus.STOPPED:
            self._print(f"stopped after {epochs_text(event.epochs)} epochs: {label}")
        elif not self._console.is_terminal:
            parts = [self._done_text, label]
            if self._metric != COST:  # which ends the line anyway
                value = self._text(event.metrics.get(self._metric)) or "unknown"
                parts.append(f"{metric_title(self._metric)} {value}")
            self._print("  ".join([*parts, f"{event.duration_s:.1f} s"]))
        for warning in event.warnings:
            remedy = warning.partition(":")[2]  # the same in all trials; the numbers before it differ
            if remedy not in self._warned:
                self._warned.add(remedy)
                self._print(f"warning: {label}: {warning}", "yellow")

    def _print(self, line: str, style: str = "") -> None:
        """Print a line, which is wrapped only on a terminal."""
        self._console.print(Text(line, style=style), soft_wrap=not self._console.is_terminal)

    def render(self) -> Group:
        """Return the current page: the headline, running trials, the best one and the last failure."""
        rows, room = list(self._running.values()), max(_FEWEST_ROWS, self._console.height - _OTHER_LINES)
        table = Table(box=None, pad_edge=False, show_header=bool(rows), header_style="dim")
        table.add_column("running trial", min_width=36)
        table.add_column("epoch", justify="right")
        table.add_column("")
        table.add_column(metric_title(self._metric), justify="right")
        for row in rows[:room]:
            bar = ProgressBar(total=row.epochs or None, completed=row.epoch, width=20)
            epoch = epochs_text(row.epoch) + (f"/{epochs_text(row.epochs)}" if row.epochs else "")
            table.add_row(row.label, epoch, bar, self._text(row.value))
        more = [Text(f"and {len(rows) - room} more", style="dim")] if len(rows) > room else []
        return Group(self._headline(), *self._bar(), table, *more, *self._highlights())

    def _bar(self) -> list[Table]:
        """Return the share of trials that are done, where their number is known."""
        if not self._groups or not self._total:
            return []
        return [bar_line(sum(self._ended.values()), self._total)]

    def _highlights(self) -> list[Text]:
        lines = []
        if self._best is not None:
            value, label = self._best
            lines.append(Text(f"best     {metric_title(self._metric)} {self._text(value)} ({label})"))
        if self._failure is not None:
            error, log = self._failure
            lines.append(
                Text(f"failed   {error.splitlines()[0]}", style="red", overflow="ellipsis", no_wrap=True)
            )
            lines += [Text(f"log      {log}")] if log else []
        return lines

    def _headline(self) -> Text:
        if not self._groups:
            return Text.assemble((self._study, "bold"), "  preparing")
        done = sum(self._ended.values())
        groups = "1 worker group" if self._groups == 1 else f"up to {self._groups} worker groups"
        parts = [f"{self._done_text} trials done", groups]
        ended = ((status, self._ended[status]) for status in (TrialStatus.DIVERGED, TrialStatus.FAILED))
        parts += [f"{number} {status}" for status, number in ended if number]
        if not self._running and not done:
            parts.append("starting workers")
        elif self._eta_s is not None:
            parts.append(f"about {duration_text(self._eta_s)} left")
        return Text.assemble((self._study, "bold"), "  ", " · ".join(parts))

    @property
    def _done_text(self) -> str:
        done, bound = sum(self._ended.values()), "" if self._is_exact else "at most "
        return str(done) if self._total is None else f"{done} of {bound}{self._total}"

    @property
    def _eta_s(self) -> float | None:
        """Estimated seconds left from the pace since the first evaluation; None before the second one."""
        left = self._epochs_left
        if self._first_epoch is None or self._evaluations < 2 or min(left, self._done_epochs) <= 0:
            return None
        pace = self._done_epochs / max(monotonic() - self._first_epoch, 1e-9)
        return left / pace

    @property
    def _epochs_left(self) -> float:
        """Epochs that are left to train; 0 when unknown."""
        if self._total is None:
            return 0.0
        known = (each.config.planned_epochs or self._lengths.get(name) for name, each in self._trials.items())
        lengths: list[float] = [each for each in known if each is not None]
        wanted = self._total * (fmean(lengths) if lengths else 1.0)
        return wanted - sum(self._reached.values())

    def _text(self, value: float | None) -> str:
        return metric_text(self._metric, value, is_percent=self._is_percent)
