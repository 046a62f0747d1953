"""What a report says, as one typed object; every table, figure and sentence renders from it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from l2rw_ray.config.design import VARIANT
from l2rw_ray.report.evidence import Evidence, weigh
from l2rw_ray.report.labels import HEADLINE, MEASURES, Measure, factor_name, level_text
from l2rw_ray.report.table import Table
from l2rw_ray.statistics import Difference, Interval


@dataclass(frozen=True)
class Factor:
    """Something the design varies.

    Attributes:
        path: Path relative to `trial`.
        levels: Its levels in plan order; lists and sections as JSON text.
    """

    path: str
    levels: tuple[Any, ...]

    @property
    def name(self) -> str:
        """Readable name."""
        return factor_name(self.path)

    @property
    def is_ordered(self) -> bool:
        """Whether all levels are numbers, so that a line may join them."""
        return all(isinstance(level, int | float) and not isinstance(level, bool) for level in self.levels)

    def text(self, level: Any) -> str:
        """Readable level."""
        return level_text(self.path, level)


@dataclass(frozen=True)
class Setting:
    """One combination of levels of some factors: `(path, level)` pairs."""

    levels: tuple[tuple[str, Any], ...]

    @property
    def text(self) -> str:
        """Readable, with the names of the factors."""
        named = (f"{factor_name(path)} {level_text(path, level)}" for path, level in self.levels)
        return ", ".join(named) or "all trials"

    def level(self, path: str) -> Any:
        """The level of one of its factors, None where it does not have it."""
        return dict(self.levels).get(path)

    def covers(self, other: "Setting") -> bool:
        """Whether it holds at another setting too, which has all of its levels and perhaps more.

        An arm without some factor has one design point, which stands at every level of that factor.
        """
        return set(self.levels) <= set(other.levels)


def point_name(arm: str, setting: Setting) -> str:
    """Readable name of a design point; a variant of an ablation may be another arm, and speaks for itself."""
    if VARIANT in dict(setting.levels):
        return setting.text
    return f"{arm}, {setting.text}" if setting.levels else arm


def narrowest(settings: Iterable[Setting]) -> tuple[Setting, ...]:
    """Settings in order, each once, without those that cover another one."""
    distinct = tuple(dict.fromkeys(settings))
    if len({len(setting.levels) for setting in distinct}) < 2:
        return distinct
    return tuple(
        setting
        for setting in distinct
        if not any(setting.covers(other) for other in distinct if other != setting)
    )


@dataclass(frozen=True)
class Cell:
    """One design point: an arm in a setting, over its completed seeds.

    Attributes:
        arm: Name of the method.
        setting: Levels of all factors but the method.
        samples: Figure by seed, by name of the figure; finite values only.
        intervals: Mean and interval over those seeds, by name of the figure.
        timing_usable: False where packed trials shared a GPU, which spoils step times and ratios.
    """

    arm: str
    setting: Setting
    samples: Mapping[str, Mapping[int, float]]
    intervals: Mapping[str, Interval]
    timing_usable: bool


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
    def is_clear(self) -> bool:
        """Whether a difference is shown, all comparisons of its family considered."""
        return self.evidence is not None and self.evidence.is_clear


def with_evidence(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """One family of comparisons with what is known of each, corrected for their number."""
    found = weigh([comparison.difference for comparison in comparisons])
    return tuple(replace(each, evidence=own) for each, own in zip(comparisons, found, strict=True))


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
    """The headline figure on the validation set per epoch of one arm in one setting, over seeds."""

    arm: str
    setting: Setting
    epochs: tuple[int, ...]
    intervals: tuple[Interval, ...]


@dataclass(frozen=True)
class Problem:
    """A trial that failed or was stopped."""

    trial_id: str
    status: str
    point: str
    seed: int
    why: str


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
        curves: Learning curves.
        counts: What became of the planned trials.
        problems: Failed and stopped trials.
        warnings: What a reader must know before trusting a figure.
        provenance: What was run, as pairs of a name and a text.
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
