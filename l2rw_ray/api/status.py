"""How far a study is, which shows itself as text and in a notebook."""

from dataclasses import dataclass
from typing import Any

from l2rw_ray.api import html
from l2rw_ray.cli.status import progress_line, status_text
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.printable import printable
from l2rw_ray.results.opening import read_study_folder
from l2rw_ray.results.study_progress import StudyProgress, read_progress

_MAX_NAMES = 8


@dataclass(frozen=True, repr=False)
class StudyStatus:
    """State of a study, and of the run that works on it.

    Attributes:
        progress: Its trials by status, those under way, the best one, the last failure; None before a run
            has written its plan.
        text: The same in lines.
    """

    progress: StudyProgress | None
    text: str = "preparing"

    @property
    def line(self) -> str:
        """The state in one line."""
        return "preparing" if self.progress is None else progress_line(self.progress)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain values, as `l2rw-ray status --json` prints it; empty while preparing."""
        return {} if self.progress is None else self.progress.as_dict()

    def __repr__(self) -> str:
        return printable(self.text)

    def _repr_html_(self) -> str:
        if self.progress is None:
            return html.paragraph("preparing")
        progress, under_way = self.progress, self.progress.under_way
        shown = html.heading(progress.name, progress_line(progress)) + html.bar(
            progress.done, progress.planned
        )
        names = [*under_way[:_MAX_NAMES]]
        names += [f"and {len(under_way) - _MAX_NAMES} more"] if len(under_way) > _MAX_NAMES else []
        details = self.text.splitlines()[1 + self._counted :]
        return shown + html.lines([*details, *(f"under way  {name}" for name in names)])

    @property
    def _counted(self) -> int:
        """Number of lines of the text that count trials, which the bar shows."""
        assert self.progress is not None
        return 1 + sum(count > 0 for count in self.progress.counts.values())


def status_of(out: str) -> StudyStatus:
    """Return the state of a study.

    Args:
        out: The study folder or its address.

    Raises:
        StudyFolderError: A file of the study cannot be read.
    """
    with read_study_folder(out) as folder:
        try:
            progress = read_progress(folder)
        except StudyFolderError:
            if folder.study_file.exists():
                raise
            return StudyStatus(None)
        return StudyStatus(progress, status_text(progress, folder))
