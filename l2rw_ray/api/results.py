"""What a study found, as tables, statistics and a report."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2rw_ray.api import html
from l2rw_ray.api.report_table import report_table
from l2rw_ray.api.suspects import Suspects, suspects_of
from l2rw_ray.cli.report import write_own_report
from l2rw_ray.config import StudySpec
from l2rw_ray.errors import InputError
from l2rw_ray.printable import printable
from l2rw_ray.report.ablation.comparison_tables import difference_table
from l2rw_ray.report.ablation.level_comparison import PairedComparison, compare_levels
from l2rw_ray.report.ablation.summary import Ablation
from l2rw_ray.report.document.files import ReportPaths
from l2rw_ray.report.notebook_plots import headline_plot
from l2rw_ray.report.writing import StudyReport, summarise_study, write_report
from l2rw_ray.results import read_history, read_study
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.opening import read_study_folder
from l2rw_ray.results.status import count_statuses

if TYPE_CHECKING:
    import pyarrow


class StudyResults:
    """What a study has found so far, read from its folder; in a notebook it shows the answer and its plot.

    Args:
        directory: The study folder, or its address on an object store.

    Raises:
        StudyFolderError: There is no study in the folder.
    """

    def __init__(self, directory: Path | str) -> None:
        self._directory = str(directory)
        with self._folder() as folder:
            self._spec = folder.read_spec()
            self._path = folder.path

    @property
    def spec(self) -> StudySpec:
        """The study, as it was run."""
        return self._spec

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of planned trials by status; `missing` for those without a record."""
        return count_statuses(self._path)

    @property
    def finding(self) -> str:
        """The answer in one sentence, without a full stop.

        Raises:
            StudyFolderError: No trial has finished yet.
        """
        return self.summary.finding

    @cached_property
    def summary(self) -> StudyReport:
        """Everything that the report says, as one object."""
        return summarise_study(self._path)

    def to_arrow(self) -> "pyarrow.Table":
        """Return the ledger, a row per finished trial; the columns are those of `read_study`."""
        return read_study(self._path)

    def to_pandas(self) -> Any:
        """Return the ledger as a data frame, a row per finished trial.

        Raises:
            InputError: pandas is not installed.
        """
        table = self.to_arrow()
        try:
            return table.to_pandas()
        except ImportError:
            remedy = "install pandas, or use to_arrow()"
            raise InputError("to_pandas", "pandas", "not installed", remedy) from None

    def history(self) -> "pyarrow.Table":
        """Return the epochs, a row per trial and epoch; the columns are those of `read_history`."""
        return read_history(self._path)

    def compare(
        self, treatment: object, control: object, *, factor: str | None = None, metric: str | None = None
    ) -> PairedComparison:
        """Return the paired difference between two levels, averaged over the settings of other factors.

        Where the report compares the two, the statistics are those of the report.

        Args:
            treatment: The level that is compared, such as `"l2rw"`, or the name of a variant or arm.
            control: The level it is compared with.
            factor: Path of their factor, such as `optim.lr`; None for the first one that has both levels.
            metric: Name of a metric; None for the headline metric of the report.

        Raises:
            InputError: There is no such level or metric, or the study compares no levels.
            StudyFolderError: No trial has finished yet.
        """
        if not isinstance(self.summary, Ablation):
            problem = "a search or a scaling study compares no levels"
            raise InputError("treatment", treatment, problem, "see its report, or to_arrow()")
        return compare_levels(self.summary, treatment, control, factor, metric)

    def suspects(self, by: str = "combined", where: Mapping[str, object] | None = None) -> Suspects:
        """Return the train labels, the most likely wrong ones first, if the study kept examples.

        Args:
            by: Evidence to rank by: `combined`, `prediction`, `loss`, `weight` or `score`.
            where: Levels by path that the trials must have; None for the design point that is best on the
                validation set.

        Raises:
            InputError: The study kept no examples, or there is no such evidence or level.
        """
        return suspects_of(self._directory, by, where or {})

    def report(self, out: Path | str | None = None) -> ReportPaths:
        """Write the report, and return its files.

        Args:
            out: Folder of the report; `report` in the study folder by default.

        Raises:
            StudyFolderError: No trial has finished yet, or the report cannot be written.
        """
        with self._folder() as folder:
            if out is None:
                return write_own_report(folder)[0]
            folder.fetch_examples()
            return write_report(folder.path, Path(out))

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.items() if count)
        text = f"{self._spec.name}: {self._spec.question}\n{counts}"
        return printable(f"{text}\n{self.finding}" if self._has_summary else text)

    def _repr_html_(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.items() if count)
        shown = html.heading(self._spec.name, self._spec.question)
        if not self._has_summary:
            return shown + html.paragraph(counts)
        shown += html.heading("found", self.finding) + html.paragraph(f"{counts} trials")
        shown += headline_plot(self.summary)
        table = difference_table(self.summary) if isinstance(self.summary, Ablation) else None
        return shown + (report_table(table) if table else "")

    @property
    def _has_summary(self) -> bool:
        return any(count for status, count in self.counts.items() if status != "missing")

    @contextmanager
    def _folder(self) -> Iterator[StudyFolder]:
        with read_study_folder(self._directory) as folder:
            yield folder
