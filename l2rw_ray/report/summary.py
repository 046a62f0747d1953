"""What the report of any kind of study says of it: the header that all summaries share."""

from dataclasses import dataclass

from l2rw_ray.report.design_points.design_point import Problem, TrialRow
from l2rw_ray.report.document.table import Table


@dataclass(frozen=True)
class HeadlineNumber:
    """The number at the top of a report.

    Attributes:
        text: The number.
        unit: Its unit in words.
        is_clear: Whether it is a difference that was shown.
    """

    text: str
    unit: str
    is_clear: bool = False


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A finished or unfinished study.

    Attributes:
        name: Name of the study.
        question: The question it asks.
        notes: The study folder's `notes.md`; empty without one.
        finding: The answer in one sentence.
        further_findings: Further sentences, one per finding.
        arms: What is compared, as pairs of a name and a sentence.
        warnings: What a reader must know before trusting a number.
        design: What was varied and repeated, as pairs of a name and a text.
        problems: Failed and stopped trials.
        provenance: What was run, as pairs of a name and a text.
        trials: All planned trials.
        signatures: Signs in the trials that a method did not work as it should.
        label_noise: How given labels differ from verified ones.
        is_published: Whether the report stands without its CSV files, as that of a published study.
    """

    name: str
    question: str
    notes: str
    finding: str
    further_findings: tuple[str, ...]
    warnings: tuple[str, ...]
    arms: tuple[tuple[str, str], ...] = ()
    design: tuple[tuple[str, str], ...] = ()
    problems: tuple[Problem, ...]
    provenance: tuple[tuple[str, str], ...]
    trials: tuple[TrialRow, ...]
    signatures: Table | None = None
    label_noise: tuple[Table, ...] = ()
    is_published: bool = False

    @property
    def number(self) -> HeadlineNumber | None:
        """The number at the top of the report; None where no single number answers the question."""
        return None

    @property
    def rows_name(self) -> str:
        """What the rows of `results.csv` are."""
        return "design points"
