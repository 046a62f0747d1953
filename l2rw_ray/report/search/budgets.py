"""What each arm of a tuned comparison could expect of smaller budgets of its search."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from l2rw_ray.report.design_points.labels import MetricSpec, count, metric_spec_for
from l2rw_ray.report.design_points.setting import Setting, point_name
from l2rw_ray.report.document.interval_cells import EMPTY
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.statistics import Interval, mean_interval
from l2rw_ray.statistics.expected_best import best_quantile, budgets, expected_best

_QUARTILES = (0.25, 0.75)


@dataclass(frozen=True)
class SearchedArm:
    """What one search of an arm tried.

    Attributes:
        arm: Name of the arm.
        setting: Levels at which it was searched.
        values: Validation metric of each configuration that has one.
        diverged: Number of configurations that diverged, which count as the worst.
        lost: Number of configurations that failed or were stopped, which say nothing.
    """

    arm: str
    setting: Setting
    values: tuple[float, ...]
    diverged: int = 0
    lost: int = 0


@dataclass(frozen=True)
class BudgetCurve:
    """Expected best validation metric of an arm by the number of configurations tried.

    Attributes:
        arm: Name of the arm.
        setting: Levels at which it was searched.
        means: Expected best of 1, 2, … configurations, a mean over searches with its interval; without
            limits of a single search.
        band: Limits at 1, 2, …: the interval over searches, or of a single one the quartiles over the orders
            in which it may have tried its configurations.
    """

    arm: str
    setting: Setting
    means: tuple[Interval, ...]
    band: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class SearchBudgets:
    """The curves of all arms.

    Attributes:
        metric: Name of the validation metric.
        curves: A curve per arm and setting, in plan order.
        searches: Number of searches of each arm.
        diverged: Number of configurations that count as the worst, by arm.
        lost: Number of configurations that are left out, by arm.
        empty: Number of searches without any result, by arm.
    """

    metric: str
    curves: tuple[BudgetCurve, ...]
    searches: int
    diverged: Mapping[str, int]
    lost: Mapping[str, int]
    empty: Mapping[str, int]

    @property
    def metric_spec(self) -> MetricSpec:
        """Label, unit and format of the metric."""
        return metric_spec_for(self.metric)

    @property
    def note(self) -> str:
        """How to read the curves, and which uncertainty they show."""
        band = (
            "Bands hold at least half of all orders in which the configurations could have been tried; they "
            "close at the whole budget, since what another search would find is not in them."
        )
        if self.searches > 1:
            band = f"Means over {self.searches} searches of each arm, bands their 95 % intervals."
        worst = self.metric_spec.of_divergence if self.metric_spec.is_share else "the worst of any arm"
        gaps = (
            ("Configurations that diverged", self.diverged, f" count as {worst}"),
            ("Configurations that failed or were stopped", self.lost, " are left out"),
            ("Searches without any result", self.empty, " are left out"),
        )
        counted = [
            f" {what} ({', '.join(f'{arm}: {number}' for arm, number in by_arm.items())}){rule}."
            for what, by_arm, rule in gaps
            if by_arm
        ]
        return (
            "Expected best of so many of the configurations tried, in random order (Dodge et al. 2019). An "
            "arm that still rises clearly over the second half was not searched out; where the order of two "
            f"arms changes, it depends on the budget. {band}{''.join(counted)}"
        )


def search_budgets(
    searched: Sequence[SearchedArm], metric: str, *, less_is_better: bool, chance: float | None = None
) -> SearchBudgets | None:
    """Return the expected best by budget of each arm; None where none tried two configurations.

    Left out, configurations that diverged would flatter their arm: the curve would be that of a search which
    knows beforehand what converges.

    Args:
        searched: All searches.
        metric: Name of the validation metric.
        less_is_better: Whether smaller values are better.
        chance: What a configuration that diverged counts as; None for the worst value of any arm.
    """
    known = [value for each in searched for value in each.values]
    worst = chance if chance is not None or not known else (max if less_is_better else min)(known)
    groups: dict[tuple[str, Setting], list[SearchedArm]] = {}
    for each in searched:
        groups.setdefault((each.arm, each.setting), []).append(each)
    curves = tuple(
        _curve(arm, setting, [_with_worst(each, worst) for each in group], less_is_better=less_is_better)
        for (arm, setting), group in groups.items()
    )
    if max((len(curve.means) for curve in curves), default=0) < 2:
        return None
    searches = max(map(len, groups.values()))
    return SearchBudgets(
        metric,
        curves,
        searches,
        diverged=_by_arm(searched, lambda each: each.diverged),
        lost=_by_arm(searched, lambda each: each.lost),
        empty=_by_arm(searched, lambda each: not _with_worst(each, worst)),
    )


def _with_worst(searched: SearchedArm, worst: float | None) -> tuple[float, ...]:
    return searched.values + (() if worst is None else (worst,) * searched.diverged)


def _by_arm(searched: Sequence[SearchedArm], number: Callable[[SearchedArm], int]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for each in searched:
        found[each.arm] += number(each)
    return dict(+found)


def _curve(
    arm: str, setting: Setting, values: Sequence[Sequence[float]], *, less_is_better: bool
) -> BudgetCurve:
    """Return the curve of an arm up to the number of configurations that each of its searches tried.

    A search without any result is left out.
    """
    values = [own for own in values if own]
    tried = range(1, min(map(len, values), default=0) + 1)
    best = partial(expected_best, less_is_better=less_is_better)
    means = tuple(mean_interval([best(own, number) for own in values]) for number in tried)
    if len(values) != 1:
        return BudgetCurve(arm, setting, means, tuple((mean.low, mean.high) for mean in means))
    quantile = partial(best_quantile, values[0], less_is_better=less_is_better)
    quartiles = [sorted(quantile(number, share) for share in _QUARTILES) for number in tried]
    return BudgetCurve(arm, setting, means, tuple((low, high) for low, high in quartiles))


def budget_table(found: SearchBudgets) -> Table:
    """Return the expected best validation metric of each arm at some budgets."""
    spec, columns = found.metric_spec, budgets(max(len(curve.means) for curve in found.curves))
    rows = []
    for curve in found.curves:
        at = {tried: spec.within(mean) for tried, mean in enumerate(curve.means, start=1)}
        cells = (_cell(spec, at.get(tried)) for tried in columns)
        rows.append(TableRow(point_name(curve.arm, curve.setting), tuple(cells)))
    return Table(
        key="search-budget",
        title=f"Expected best {spec.heading} by budget of the search",
        corner="arm",
        columns=tuple(count(tried, "configuration") for tried in columns),
        rows=tuple(rows),
        note=found.note,
    )


def _cell(metric_spec: MetricSpec, mean: Interval | None) -> TableCell:
    if mean is None or not mean.is_conclusive:
        return EMPTY if mean is None else TableCell(metric_spec.text(mean.mean))
    return TableCell(metric_spec.text(mean.mean), metric_spec.limits(mean))
