"""What a report says, as one typed object; every table, figure and sentence renders from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from l2rw_ray.config.design import VARIANT
from l2rw_ray.report.evidence import Evidence, weigh
from l2rw_ray.report.labels import HEADLINE, MEASURES, Measure, measure_of
from l2rw_ray.report.setting import Factor, Setting
from l2rw_ray.report.table import Table
from l2rw_ray.statistics import Difference, Interval


@dataclass(frozen=True)
class Cell:
    """One design point: an arm in a setting, over its completed seeds.

    Attributes:
        arm: Name of the method.
        setting: Levels of all factors but the method.
        samples: Figure by seed, by name of the figure; finite values only.
        intervals: Mean and interval over those seeds, by name of the figure.
        timing_usable: False where packed trials shared a GPU, which spoils step times and ratios.
        method: Name of the method that its trials used, which a variant or an arm may have changed.
    """

    arm: str
    setting: Setting
    samples: Mapping[str, Mapping[int, float]]
    intervals: Mapping[str, Interval]
    timing_usable: bool
    method: str = ""


@dataclass(frozen=True)
class Comparison:
    """Paired difference of the headline figure between two levels of the contrasted factor.

    Attributes:
        treatment: Readable level that is compared.
        control: Readable level it is compared with.
        setting: Levels of the other factors; None for the average over all of them.
        settings: How many settings went into it.
        planned_settings: How many the design has.
        difference: Treatment minus control, in the ledger's unit.
        figure: Name of the figure.
        evidence: What else is known of the difference, its family considered.
    """

    treatment: str
    control: str
    setting: Setting | None
    settings: int
    planned_settings: int
    difference: Difference
    figure: str = HEADLINE
    evidence: Evidence | None = None

    @property
    def measure(self) -> Measure:
        """How the figure is shown."""
        return MEASURES[self.figure]

    @property
    def where(self) -> str:
        """The setting in words."""
        return f"average of {self.settings}" if self.setting is None else self.setting.text

    @property
    def is_clear(self) -> bool:
        """Whether a difference is shown, all comparisons of its family considered."""
        return self.evidence is not None and self.evidence.is_clear


def with_evidence(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """One family of comparisons with what is known of each, corrected for their number."""
    found = weigh([comparison.difference for comparison in comparisons])
    return tuple(replace(each, evidence=own) for each, own in zip(comparisons, found, strict=True))


@dataclass(frozen=True)
class ComputeLine:
    """One arm at equal training time, averaged over settings within each seed.

    Attributes:
        name: Readable level of the contrasted factor.
        value: Validation figure at the budget, with its interval over seeds.
        used: Share of its own training time that the budget allows, the mean over trials.
        comparison: Difference to the control at the budget; None for the control.
    """

    name: str
    value: Interval
    used: float
    comparison: Comparison | None


@dataclass(frozen=True)
class Interaction:
    """How a treatment's difference to the control changes with something else.

    Attributes:
        treatment: Readable level that is compared.
        control: Readable level it is compared with.
        what: The two levels, or circumstances, that are set against each other.
        difference: Difference in the first less difference in the second, in the ledger's unit.
        figure: Name of the figure.
        evidence: What else is known of it, all interactions of the study considered.
        factor: Name of the factor whose levels they are; empty where they are of none.
        settings: How many settings of the other factors both circumstances have.
        left_out: Settings that only one of them has.
    """

    treatment: str
    control: str
    what: str
    difference: Difference
    figure: str = HEADLINE
    evidence: Evidence | None = None
    factor: str = ""
    settings: int = 1
    left_out: int = 0

    @property
    def where(self) -> str:
        """The circumstances in words."""
        return f"{self.factor} {self.what}{self.part}".lstrip()

    @property
    def part(self) -> str:
        """How many settings it is of, where not of all."""
        return f" (in {self.settings} of {self.settings + self.left_out} settings)" if self.left_out else ""

    @property
    def measure(self) -> Measure:
        """How the figure is shown."""
        return MEASURES[self.figure]


@dataclass(frozen=True)
class EffectPoint:
    """An arm at one level of a factor, averaged over the other factors within each seed."""

    arm: str
    level: Any
    interval: Interval


@dataclass(frozen=True)
class Effect:
    """The headline figure along one factor."""

    factor: Factor
    points: tuple[EffectPoint, ...]


@dataclass(frozen=True)
class Curve:
    """A figure per epoch of one arm in one setting, over seeds.

    Attributes:
        arm: Name of the method.
        setting: Levels of all factors but the method.
        epochs: Epochs that all seeds have.
        times_s: Mean wall time from the start of training to the end of each, evaluation included.
        intervals: Mean and interval of the figure there.
        figure: Name of the figure.
    """

    arm: str
    setting: Setting
    epochs: tuple[int, ...]
    times_s: tuple[float, ...]
    intervals: tuple[Interval, ...]
    figure: str

    @property
    def measure(self) -> Measure:
        """How the figure is shown."""
        return measure_of(self.figure)


@dataclass(frozen=True)
class Problem:
    """A trial that failed or was stopped.

    Attributes:
        trial_id: Its fingerprint.
        status: `failed` or `stopped`.
        point: Name of its design point.
        seed: Its seed.
        why: Its error, or the reason it was stopped for.
        log: What it printed, a file relative to the study folder; None where that is nothing.
    """

    trial_id: str
    status: str
    point: str
    seed: int
    why: str
    log: str | None = None


@dataclass(frozen=True)
class TrialLine:
    """A planned trial.

    Attributes:
        trial_id: Its fingerprint.
        arm: Name of its method.
        setting: Levels of all factors but the method.
        seed: Its seed.
        stage: `search` or `final`.
        status: `completed`, `stopped`, `failed` or `missing`.
        figures: Final figures by name; those of a search are on validation only.
        recorded: What the ledger tells of how it ran.
        method: Name of the method it used; empty where it has not run.
    """

    trial_id: str
    arm: str
    setting: Setting
    seed: int
    stage: str
    status: str
    figures: Mapping[str, float]
    recorded: Mapping[str, Any]
    method: str = ""


@dataclass(frozen=True)
class TrialCounts:
    """What became of the planned trials."""

    planned: int
    completed: int
    stopped: int
    failed: int

    @property
    def missing(self) -> int:
        """Planned trials that have not ended."""
        return self.planned - self.completed - self.stopped - self.failed


@dataclass(frozen=True)
class Ablation:
    """A finished or unfinished study of design points over seeds.

    Attributes:
        name: Name of the study.
        question: What it asks.
        notes: Paragraphs of the study folder's `notes.md`.
        finding: The answer in one sentence.
        further_findings: One sentence for each other level of the contrasted factor.
        factors: All factors but the method.
        arms: Methods in plan order.
        control: The arm or level the others are compared with.
        headline: The arm or level the finding is about; equal to `control` where there is no other.
        settings: Combinations of the factors' levels in plan order; none that covers another one.
        cells: Design points that have a completed seed.
        comparisons: Paired differences per setting.
        pooled: Paired differences averaged over settings, the headline first.
        effects: The headline figure along each factor.
        curves: Learning curves, on the validation set.
        weight_curves: How the weights behaved per epoch, by name of the figure.
        equal_compute: The arms at equal training time, the control first.
        counts: What became of the planned trials.
        problems: Failed and stopped trials.
        warnings: What a reader must know before trusting a figure.
        provenance: What was run, as pairs of a name and a text.
        design: What was asked of which trials, likewise.
        trials: All planned trials.
        interactions: How differences change with other factors.
        signatures: Signs in the trials that an arm did not work as it should.
        answer: A table that the finding rests on, where that is no difference to the control.
        details: Tables that only this kind of design has.
        figure: Name of the headline figure.
    """

    name: str
    question: str
    notes: tuple[str, ...]
    finding: str
    further_findings: tuple[str, ...]
    factors: tuple[Factor, ...]
    arms: tuple[str, ...]
    control: str
    headline: str
    settings: tuple[Setting, ...]
    cells: tuple[Cell, ...]
    comparisons: tuple[Comparison, ...]
    pooled: tuple[Comparison, ...]
    effects: tuple[Effect, ...]
    curves: tuple[Curve, ...]
    counts: TrialCounts
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]
    provenance: tuple[tuple[str, str], ...]
    design: tuple[tuple[str, str], ...] = ()
    trials: tuple[TrialLine, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    weight_curves: Mapping[str, tuple[Curve, ...]] = field(default_factory=dict)
    equal_compute: tuple[ComputeLine, ...] = ()
    signatures: Table | None = None
    answer: Table | None = None
    details: tuple[Table, ...] = ()
    figure: str = HEADLINE

    @property
    def measure(self) -> Measure:
        """How the headline figure is shown."""
        return MEASURES[self.figure]

    @property
    def has_variants(self) -> bool:
        """Whether settings are variants, which may be other arms than the one they are variants of."""
        return len(self.arms) == 1 and any(factor.path == VARIANT for factor in self.factors)

    def cell(self, arm: str, setting: Setting) -> Cell | None:
        """The design point of an arm in a setting, None where no seed of it completed."""
        found = (cell for cell in self.cells if cell.arm == arm and cell.setting.covers(setting))
        return next(found, None)
