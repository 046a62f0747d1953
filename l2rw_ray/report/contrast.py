"""The comparison a study is about: which levels, against what, and the sentence that answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from l2rw_ray.config.design import VARIANT
from l2rw_ray.report.labels import HEADLINE, MINUS, count
from l2rw_ray.report.points import ARM_FACTOR
from l2rw_ray.report.summary import Cell, Comparison, Factor, Setting, narrowest
from l2rw_ray.statistics import paired_difference, pooled_paired_difference

_PREFERRED_CONTROL = "uniform"
_PREFERRED_HEADLINE = "l2rw"


@dataclass(frozen=True)
class Contrast:
    """Which levels of which factor are compared.

    Attributes:
        factor: The method, or the first factor of a design that does not vary it.
        control: The level that the others are compared with.
        treatments: The others, the headline first.
    """

    factor: Factor
    control: Any
    treatments: tuple[Any, ...]

    def level_of(self, cell: Cell) -> Any:
        """The cell's level of the contrasted factor."""
        return cell.arm if self.factor.path == ARM_FACTOR else cell.setting.level(self.factor.path)

    def rest_of(self, setting: Setting) -> Setting:
        """The levels of the factors that are not compared."""
        return Setting(tuple(pair for pair in setting.levels if pair[0] != self.factor.path))

    def name(self, level: Any) -> str:
        """Readable level; a method's name needs no other word."""
        text = self.factor.text(level)
        return text if self.factor.path in (ARM_FACTOR, VARIANT) else f"{self.factor.name} {text}"


def choose_contrast(
    arms: Sequence[str], factors: Sequence[Factor], *, first_is_control: bool = False
) -> Contrast:
    """Methods against `uniform`, or the levels of the first factor against its first.

    Args:
        arms: Methods in plan order, at least one.
        factors: The other factors.
        first_is_control: Whether the first method is the control, whatever its name.
    """
    if len(arms) > 1 or not factors:
        control = _PREFERRED_CONTROL if _PREFERRED_CONTROL in arms and not first_is_control else arms[0]
        others = [arm for arm in arms if arm != control]
        others.sort(key=lambda arm: arm != _PREFERRED_HEADLINE)
        return Contrast(Factor(ARM_FACTOR, tuple(arms)), control, tuple(others))
    control, *others = factors[0].levels
    return Contrast(factors[0], control, tuple(reversed(others)))


def compare(contrast: Contrast, cells: Sequence[Cell], figure: str = HEADLINE) -> tuple[Comparison, ...]:
    """Paired differences per setting, in plan order, for settings where both levels have the figure."""
    samples = _samples(contrast, cells, figure)
    return tuple(
        Comparison(
            contrast.name(level),
            contrast.name(contrast.control),
            setting,
            1,
            1,
            paired_difference(by_level[level], by_level[contrast.control]),
            figure,
        )
        for setting, by_level in samples.items()
        for level in contrast.treatments
        if level in by_level and contrast.control in by_level
    )


def compare_pooled(
    contrast: Contrast, cells: Sequence[Cell], settings: int, figure: str = HEADLINE
) -> tuple[Comparison, ...]:
    """Paired differences averaged over settings.

    Settings in which no seed of both levels completed are left out. Where an unfinished study has
    no seed that completed in all others, only the settings with most seeds count.

    Args:
        contrast: What is compared.
        cells: Design points.
        settings: How many combinations of the other factors are planned.
        figure: Name of the headline figure.
    """
    samples = _samples(contrast, cells, figure).values()
    pooled = []
    for level in contrast.treatments:
        pairs = [(by_level.get(level, {}), by_level.get(contrast.control, {})) for by_level in samples]
        shared = [pair for pair in pairs if pair[0].keys() & pair[1].keys()]
        if shared:
            difference = pooled_paired_difference(shared)
            if difference.interval is None:
                most = max(len(a.keys() & b.keys()) for a, b in shared)
                shared = [(a, b) for a, b in shared if len(a.keys() & b.keys()) == most]
                difference = pooled_paired_difference(shared)
            names = contrast.name(level), contrast.name(contrast.control)
            pooled.append(Comparison(*names, None, len(shared), settings, difference, figure))
    return tuple(pooled)


def _samples(
    contrast: Contrast, cells: Sequence[Cell], figure: str
) -> dict[Setting, dict[Any, Mapping[int, float]]]:
    """The headline figure by setting, level and seed."""
    measured = [cell for cell in cells if figure in cell.samples]
    return {
        setting: {
            contrast.level_of(cell): cell.samples[figure]
            for cell in measured
            if contrast.rest_of(cell.setting).covers(setting)
        }
        for setting in narrowest(contrast.rest_of(cell.setting) for cell in measured)
    }


def sentence(comparison: Comparison) -> str:
    """What a comparison shows, with its uncertainty, in one sentence without a full stop."""
    measure, interval = comparison.measure, comparison.difference.interval
    names = f"{comparison.treatment} {MINUS} {comparison.control}"
    if interval is None:
        return f"{names}: no seed completed at every setting of both: nothing can be compared"
    found = f"{names}: {measure.signed(interval.mean)} {measure.of_difference}"
    averaged = _averaged(comparison)
    if not interval.is_conclusive:
        return f"{found}{averaged} (one seed: nothing can be concluded)"
    limits = measure.signed_limits(interval)
    found += f" (95 % interval {limits}, {count(interval.n, 'seed')}, paired{averaged})"
    return found if interval.excludes_zero else f"{found}: no difference was shown"


def _averaged(comparison: Comparison) -> str:
    if comparison.settings < comparison.planned_settings:
        return f", averaged over {comparison.settings} of {comparison.planned_settings} settings"
    return f", averaged over {comparison.settings} settings" if comparison.settings > 1 else ""
