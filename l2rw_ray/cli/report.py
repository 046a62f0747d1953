"""Write reports for `l2rw-ray report` and at the end of a run; publish studies."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report import write_combined_report, write_report
from l2rw_ray.report.document.files import ReportPaths
from l2rw_ray.report.writing import write_published_page
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.opening import read_study_folder
from l2rw_ray.results.publishing import pack_study
from l2rw_ray.results.remote.location import parse_location

PUBLISHED = Path("reports")
"""Default folder of published studies."""


def report_on(named: Sequence[str], out: str | None) -> str:
    """Write the report of a study, or a combined report of several.

    Args:
        named: Study folders or their addresses.
        out: Local folder to write to; None for the default.

    Returns:
        Path or address of the report's page.

    Raises:
        StudyFolderError: There is no study or no finished trial, or the report cannot be written.
    """
    target = None if out is None else on_this_machine(out)
    with ExitStack() as stack:
        folders = [stack.enter_context(read_study_folder(name)) for name in named]
        if len(folders) > 1:
            return str(write_combined_report([folder.path for folder in folders], target).html)
        folders[0].fetch_examples()
        if target is not None:
            return str(write_report(folders[0].path, target).html)
        return write_own_report(folders[0])[1]


def write_own_report(folder: StudyFolder) -> tuple[ReportPaths, str]:
    """Write a study's report into its folder and, if the study is on an object store, upload it.

    Returns:
        The report's local files, and the path or address of its page.

    Raises:
        StudyFolderError: There is no finished trial, or the report cannot be written.
    """
    folder.fetch_examples()
    paths = write_report(folder.path)
    if folder.store is None:
        return paths, str(paths.html)
    folder.store.put_folder(folder.report)
    return paths, folder.store.location.inside(paths.html.relative_to(folder.path).as_posix())


def publish_study(named: str, out: str | None) -> str:
    """Copy the files that readers need to a folder, and write the study's report there.

    Args:
        named: Study folder or its address.
        out: Local folder to write to; None for `reports/<study name>`.

    Returns:
        Path of the report's page.

    Raises:
        StudyFolderError: There is no study or no finished trial, or a file cannot be written.
    """
    target = None if out is None else on_this_machine(out)
    with read_study_folder(named) as folder:
        folder.fetch_examples()
        published = pack_study(folder, target or PUBLISHED / folder.read_spec().name)
        return str(write_published_page(published.path, folder.path))


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
