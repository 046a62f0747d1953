"""Implement `l2rw-ray status`: print how far a study is, once, as JSON, or until its run ends."""

import json
from time import monotonic, sleep

from rich.console import Group
from rich.live import Live
from rich.text import Text

from l2rw_ray.cli.console import Console
from l2rw_ray.cli.metric_text import metric_text, metric_title
from l2rw_ray.cli.plain_characters import say
from l2rw_ray.cli.progress import bar_line
from l2rw_ray.planning.durations import duration_text
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.opening import read_study_folder
from l2rw_ray.results.study_progress import StudyProgress, read_progress

_PAUSE_S, _STORE_PAUSE_S = 2.0, 10.0
_PAUSES_PER_READ = 10
"""Pause relative to the duration of the reading before it, of a ledger of many trials."""
_MAX_NAMES = 8


def print_status(named: str, *, as_json: bool = False) -> None:
    """Print the status of a study.

    Args:
        named: The study folder or its address.
        as_json: Whether to print it as JSON.

    Raises:
        StudyFolderError: There is no study, or it cannot be read.
    """
    with read_study_folder(named) as folder:
        progress = read_progress(folder)
        say(json.dumps(progress.as_dict(), indent=2) if as_json else status_text(progress, folder))


def watch_status(named: str, console: Console | None = None) -> None:
    """Show the status of a study until its run ends: a page on a terminal, a line per change elsewhere.

    A study that is not there yet is waited for.

    Args:
        named: The study folder or its address.
        console: Where to print; standard output by default.

    Raises:
        StudyFolderError: The folder cannot be read.
    """
    console = console or Console()
    with read_study_folder(named) as folder:
        live = Live(console=console, auto_refresh=False, transient=True)
        last, progress = "", None
        try:
            _wait_for_study(folder, console)
            while True:
                began = monotonic()
                progress = read_progress(folder)
                if console.is_terminal:
                    live.start()
                    live.update(_page(progress, folder), refresh=True)
                elif (line := progress_line(progress)) != last:
                    console.print(Text(line), soft_wrap=True)
                    last = line
                if progress.run is None:
                    break
                _pause(folder, monotonic() - began)
        except KeyboardInterrupt:  # the run goes on
            pass
        finally:
            live.stop()
        if progress is not None:
            console.print(Text(status_text(progress, folder)), soft_wrap=True)


def _wait_for_study(folder: StudyFolder, console: Console) -> None:
    """Wait until a run has written its plan; a path that is no folder never gets one."""
    folder.check_not_a_file()
    if folder.plan_file.exists():
        return
    console.print(Text(f"waiting  {folder.address} holds no study yet; Ctrl-C ends this"), soft_wrap=True)
    while not folder.plan_file.exists():
        _pause(folder, 0.0)


def _pause(folder: StudyFolder, reading_s: float) -> None:
    shortest = _PAUSE_S if folder.store is None else _STORE_PAUSE_S
    sleep(max(shortest, _PAUSES_PER_READ * reading_s))
    if folder.store is not None:
        folder.store.fill()


def status_text(progress: StudyProgress, folder: StudyFolder) -> str:
    """Return the status as lines."""
    lines = [f"{progress.name}: {progress.question}", f"{progress.planned} trials planned"]
    lines += [f"  {count:5d} {status}" for status, count in progress.counts.items() if count]
    if progress.at_most is not None:
        lines.append(f"at most {progress.at_most} by the search's budget")
    if progress.others:
        lines.append(f"{progress.others} more in the ledger, of settings that are no longer in the study")
    return "\n".join([*lines, *_details(progress, folder)])


def progress_line(progress: StudyProgress) -> str:
    """Return the status as one line."""
    parts = [f"{progress.done} of {progress.planned} trials done"]
    parts += [
        f"{number} {status}" for status in ("diverged", "failed") if (number := progress.counts[status])
    ]
    if progress.run is None:
        parts.append("no run is active")
    elif progress.under_way:
        parts.append(f"{len(progress.under_way)} under way")
    if progress.left_s is not None:
        parts.append(f"about {duration_text(progress.left_s)} left")
    return " · ".join(parts)


def _details(progress: StudyProgress, folder: StudyFolder) -> list[str]:
    """Return what is worth a look: the run, the trials under way, the best one and the last failure."""
    lines = []
    if progress.run is not None:
        left = "" if progress.left_s is None else f", about {duration_text(progress.left_s)} left"
        lines.append(f"running  {progress.run}{left}")
    if (best := progress.best) is not None:
        value = (
            f"{metric_title(best.metric)} {metric_text(best.metric, best.value, is_percent=best.is_percent)}"
        )
        lines.append(f"best     {value} ({best.trial})")
    if (failure := progress.failure) is not None:
        lines.append(f"failed   {failure.trial}: {failure.error.splitlines()[0]}")
        if failure.log:
            lines.append(f"log      {_log_of(folder, failure.log)}")
    return lines


def _log_of(folder: StudyFolder, log: str) -> str:
    return str(folder.path / log) if folder.store is None else folder.store.location.inside(log)


def _page(progress: StudyProgress, folder: StudyFolder) -> Group:
    names = [Text(f"  {name}") for name in progress.under_way[:_MAX_NAMES]]
    if len(progress.under_way) > _MAX_NAMES:
        names.append(Text(f"  and {len(progress.under_way) - _MAX_NAMES} more", style="dim"))
    heading = [Text("under way", style="dim")] if names else []
    return Group(
        Text.assemble((progress.name, "bold"), "  ", progress_line(progress)),
        bar_line(progress.done, max(progress.planned, 1)),
        *heading,
        *names,
        *(Text(line) for line in _details(progress, folder)),
    )
