"""Write reports for `l2rw-ray report` and at the end of a run; publish studies."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2rw_ray.cli.plain_characters import say
from l2rw_ray.cli.resumption import say_earlier
from l2rw_ray.errors import InputError, StudyFolderError
from l2rw_ray.report import write_combined_report, write_report
from l2rw_ray.report.ablation.level_comparison import PairedComparison
from l2rw_ray.report.ablation.summary import Ablation
from l2rw_ray.report.comparisons.comparison import Comparison
from l2rw_ray.report.document.files import ReportPaths
from l2rw_ray.report.writing import StudyReport, summarise_study, write_published_page
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.opening import read_study_folder
from l2rw_ray.results.publishing import pack_study
from l2rw_ray.results.remote.location import parse_location
from l2rw_ray.results.status import count_statuses

PUBLISHED = Path("reports")
"""Default folder of published studies."""


@dataclass(frozen=True)
class ReportOptions:
    """Options of the command.

    Attributes:
        out: Local folder to write to; None for the default.
        latex: Whether to write files for a paper, too.
        as_json: Whether to print what was found as JSON.
    """

    out: str | None = None
    latex: bool = False
    as_json: bool = False


def print_report(named: Sequence[str], options: ReportOptions) -> None:
    """Write the report of a study, or a combined report of several, and print where it is.

    Args:
        named: Study folders or their addresses.
        options: Options of the command.

    Raises:
        InputError: There is no study or no finished trial, an option is for a single study, or the report
            cannot be written.
    """
    if len(named) > 1 and options.latex:
        raise InputError("--latex", True, "given with several studies", "write it for one study at a time")
    target = None if options.out is None else on_this_machine(options.out)
    with ExitStack() as stack:
        folders = [stack.enter_context(read_study_folder(name)) for name in named]
        if len(folders) > 1:
            paths = write_combined_report([folder.path for folder in folders], target)
            address = str(paths.html)
        elif target is not None:
            folders[0].fetch_examples()
            paths = write_report(folders[0].path, target, latex=options.latex)
            address = str(paths.html)
        else:
            paths, address = write_own_report(folders[0], latex=options.latex)
        if len(folders) == 1:
            say_earlier(folders[0])
        if not options.as_json:
            lines = (address, *(str(file) for file in paths.latex[:1]))
            say("\n".join(lines))
            return
        found = _found(folders[0]) if len(folders) == 1 else {}
    say(json.dumps({"report": address, "finding": paths.finding, **found}, indent=2))


def _found(folder: StudyFolder) -> dict[str, Any]:
    """Return what a study found as plain values."""
    summary, spec = summarise_study(folder.path), folder.read_spec()
    return {
        "study": spec.name,
        "question": spec.question,
        "trials": count_statuses(folder.path),
        "further_findings": list(summary.further_findings),
        "warnings": list(summary.warnings),
        "comparisons": [each.as_dict() for each in _comparisons(summary)],
    }


def _comparisons(summary: StudyReport) -> list[PairedComparison]:
    """Return the comparisons of the report, each with its settings."""
    if not isinstance(summary, Ablation):
        return []
    own: dict[str, list[Comparison]] = {}
    for each in summary.comparisons:
        own.setdefault(each.treatment, []).append(each)
    return [
        PairedComparison.of(each, own[each.treatment] if each.settings > 1 else ()) for each in summary.pooled
    ]


def write_own_report(folder: StudyFolder, *, latex: bool = False) -> tuple[ReportPaths, str]:
    """Write a study's report into its folder and, if the study is on an object store, upload it.

    Args:
        folder: The study folder.
        latex: Whether to write files for a paper, too.

    Returns:
        The report's local files, and the path or address of its page.

    Raises:
        StudyFolderError: There is no finished trial, or the report cannot be written.
    """
    folder.fetch_examples()
    paths = write_report(folder.path, latex=latex)
    if folder.store is None:
        return paths, str(paths.html)
    folder.store.put_folder(folder.report)
    return paths, folder.store.location.inside(paths.html.relative_to(folder.path).as_posix())


def publish_study(named: str, out: str | None, *, previews: bool = False) -> str:
    """Copy the files that readers need to a folder, and write the study's report there.

    Args:
        named: Study folder or its address.
        out: Local folder to write to; None for `reports/<study name>`.
        previews: Whether suspect labels are shown with texts and thumbnails of their examples.

    Returns:
        Path of the report's page.

    Raises:
        StudyFolderError: There is no study or no finished trial, or a file cannot be written.
    """
    target = None if out is None else on_this_machine(out)
    with read_study_folder(named) as folder:
        folder.fetch_examples()
        published = pack_study(folder, target or PUBLISHED / folder.read_spec().name)
        return str(write_published_page(published.path, folder.path, previews=previews))


def on_this_machine(out: str) -> Path:
    """Return the local folder that `--out` names.

    Raises:
        StudyFolderError: It is on an object store.
    """
    place = parse_location(out)
    if isinstance(place, Path):
        return place
    remedy = "give a folder of this machine, or omit --out"
    raise StudyFolderError("--out", place.address, "files are written to this machine", remedy)
