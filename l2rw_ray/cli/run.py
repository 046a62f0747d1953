"""Implement `l2rw-ray run`: run, mirror and report a study, and print the progress."""

import json
import shlex
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from l2rw_ray.cli.bytecode import bytecode_hint
from l2rw_ray.cli.console import Console
from l2rw_ray.cli.plain_characters import say
from l2rw_ray.cli.progress import ProgressDisplay
from l2rw_ray.cli.resumption import Resumption, done_before, earlier_settings
from l2rw_ray.config import PlannedTrial, Stage, StudySpec
from l2rw_ray.config.functions.metrics import is_percent
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.events import Observer
from l2rw_ray.orchestration.run import RunOptions, RunOutcome, run_missing_trials
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.results import read_study
from l2rw_ray.results.compaction import compact_quietly
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.repair import repair_folder
from l2rw_ray.tracking.background_mirror import Mirror
from l2rw_ray.tracking.runs import trial_name
from l2rw_ray.tracking.uri import check_store

_INTERRUPTED = "Interrupted. Run the same command again to resume."
_MAX_LOGS = 3
_UNFINISHED = ("failed", "diverged", "missing")
"""Maximum number of logs of failed trials that are listed at the end of a run."""


def run_session(
    spec: StudySpec,
    folder: StudyFolder,
    options: RunOptions,
    tracking_uri: str | None,
    *,
    mirrors: bool = True,
    as_json: bool = False,
) -> int:
    """Run a study's missing trials, mirror them to MLflow and write the report.

    Args:
        spec: The study.
        folder: Its folder.
        options: Options of this run.
        tracking_uri: MLflow store; None for the one in the folder.
        mirrors: Whether trials are mirrored to MLflow.
        as_json: Whether to print the outcome as JSON, and all else to stderr.

    Returns:
        0 if every planned trial is done, 1 if some failed or are missing or there is no report, 130 after
        Ctrl-C or SIGTERM.
    """
    if tracking_uri is not None:
        check_store(tracking_uri)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # treat SIGTERM as Ctrl-C
    console = Console(stderr=as_json)
    planned = plan_study(spec)
    folder.create()
    if options.address is not None:  # a job's log must say where its results are
        _print(console, f"folder   {folder.address}")
    with folder.lock(), Mirror(folder, tracking_uri) as mirror:
        for line in [*repair_folder(folder), *filter(None, [bytecode_hint()])]:
            _print(console, line)
        compact_quietly(folder)
        with ProgressDisplay(
            *(console, spec.name, spec.objective.metric, spec.objective.mode, folder.logs),
            is_percent=is_percent(spec.objective.metric, spec.metrics),
        ) as display:
            conclude = _Conclusion(console, folder, display, mirror)

            def observe(
                known: Mapping[str, PlannedTrial], total: int | None, groups: int, *, is_exact: bool
            ) -> list[Observer]:
                line = done_before(folder, len(planned), total) if is_exact else done_before(folder)
                if line:
                    _print(console, line)
                display.begin(known, total, groups, is_exact=is_exact)
                resumption = Resumption(known, lambda line: _print(console, line))
                return [display, resumption, mirror] if mirrors else [display, resumption]

            try:
                outcome = run_missing_trials(
                    *(spec, planned, folder, options, observe),
                    notify=lambda line: _print(console, line),
                    when_recorded=conclude,
                )
            except KeyboardInterrupt:  # before the first trial, or a second one while the run ends
                _print(console, _INTERRUPTED)
                return 130
        mirror.finish()
    if tracking_uri is None:
        _print(console, f"compare  l2rw-ray ui {shlex.quote(folder.address)}")
    if as_json:
        say(json.dumps(_outcome(spec, folder, outcome, conclude), indent=2))
    if outcome.interrupted:
        return 130
    is_done = conclude.is_reported and not any(outcome.counts[each] for each in _UNFINISHED)
    return 0 if is_done else 1


def _outcome(
    spec: StudySpec, folder: StudyFolder, outcome: RunOutcome, conclude: "_Conclusion"
) -> dict[str, Any]:
    """Return the outcome as plain values, as `l2rw-ray run --json` prints them."""
    return {
        "study": spec.name,
        "folder": folder.address,
        "trials": dict(outcome.counts),
        "interrupted": outcome.interrupted,
        "finding": conclude.finding,
        "report": conclude.report,
    }


@dataclass
class _Conclusion:
    """What follows once all trials are recorded: it runs beside the shutdown of the cluster.

    Attributes:
        console: Where to print.
        folder: The study folder.
        display: The progress display, which is over.
        mirror: The MLflow mirror, whose last pass begins after the report, which it attaches.
        is_reported: Whether the report was written, or there was nothing to report on.
        finding: The answer in one sentence; None without a report.
        report: Path or address of the report's page; None without one.
    """

    console: Console
    folder: StudyFolder
    display: ProgressDisplay
    mirror: Mirror
    is_reported: bool = True
    finding: str | None = None
    report: str | None = None

    def __call__(self, outcome: RunOutcome) -> None:
        """Print the outcome, write the report, and begin the last pass of the mirror."""
        self.display.__exit__(None, None, None)
        _print_outcome(self.console, self.folder, outcome)
        self._report(outcome)
        self.mirror.begin_last_pass()

    def _report(self, outcome: RunOutcome) -> None:
        """Write the report and print where it is."""
        if not any(outcome.counts[each] for each in ("completed", "diverged", "failed")):
            return
        from l2rw_ray.cli.report import write_own_report

        try:
            paths, self.report = write_own_report(self.folder)
        except StudyFolderError as error:  # the trials are recorded nevertheless
            address = shlex.quote(self.folder.address)
            _print(self.console, f"report   none: {error}")
            _print(self.console, f"         `l2rw-ray report {address}` writes it once this is fixed")
            self.is_reported = False
            return
        self.finding = paths.finding
        _print(self.console, f"found    {paths.finding}")
        if self.folder.store is not None:
            _print(self.console, f"here     {paths.html}")
        _print(self.console, f"report   {self.report}")


def _print(console: Console, line: str) -> None:
    """Print a line as it is: not wrapped, without highlights or markup."""
    console.print(Text(line), soft_wrap=True)


def _print_outcome(console: Console, folder: StudyFolder, outcome: RunOutcome) -> None:
    counts = ", ".join(f"{count} {status}" for status, count in outcome.counts.items() if count)
    _print(console, f"trials   {counts}")
    if outcome.interrupted:
        _print(console, f"         {_INTERRUPTED}")
    if outcome.counts["failed"]:
        _print(console, "         run again with --retry-failed to retry failed trials")
    if outcome.counts["diverged"]:
        _print(
            console,
            "         diverged: NaN or infinity in training; the report counts it as the worst outcome",
        )
    if outcome.counts["failed"] or outcome.counts["diverged"]:
        for line in _failed_logs(folder):
            _print(console, line)
    earlier = earlier_settings(folder)
    if earlier:
        _print(console, earlier)
    for name, without in _without_files(folder).items():
        line = f"{without} completed trials have none; keep.{name} applies to new trials"
        _print(console, f"{name:<8} {line}")


def _without_files(folder: StudyFolder) -> dict[str, int]:
    """Count completed trials without the files that the study keeps in its folder, by the name in `keep`."""
    spec = folder.read_spec()
    files = {"models": folder.model_file, "examples": folder.examples_file}
    kept = [name for name in files if getattr(spec.keep, name)]
    if folder.store is not None or not kept:
        return {}
    rows = read_study(folder.path).select(["trial_id", "status", "stage"]).to_pylist()
    completed = {row["trial_id"]: row["stage"] for row in rows if row["status"] == "completed"}
    final = {trial_id for trial_id, stage in completed.items() if stage == Stage.FINAL}
    wanted = {"models": set(completed), "examples": final}
    counts = {name: sum(not files[name](each).exists() for each in wanted[name]) for name in kept}
    return {name: number for name, number in counts.items() if number}


def _failed_logs(folder: StudyFolder) -> list[str]:
    """Return lines that name the logs of the first failed and diverged trials."""
    table = read_study(folder.path)
    statuses = enumerate(table["status"].to_pylist())
    failed = [number for number, status in statuses if status in ("failed", "diverged")]
    rows = [row for row in table.take(failed).to_pylist() if row["log"]]
    lines = [f"log      {folder.path / row['log']} ({trial_name(row)})" for row in rows[:_MAX_LOGS]]
    if len(rows) > _MAX_LOGS:
        lines.append(f"         and {len(rows) - _MAX_LOGS} more in {folder.logs}")
    return lines
