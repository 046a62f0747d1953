"""Interactions: whether a gain depends on another factor, and whether two gains add up."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from l2rw_ray.config import StudySpec
from l2rw_ray.config.design.ablation import AblationDesign
from l2rw_ray.config.design.kinds import VARIANT
from l2rw_ray.report.ablation.summary import Interaction
from l2rw_ray.report.comparisons.contrast import Contrast, Pair, pairs_of, values_of
from l2rw_ray.report.comparisons.evidence import assess
from l2rw_ray.report.comparisons.example_errors import averaged, with_example_error
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.setting import Factor
from l2rw_ray.statistics import difference_of_differences

_Pairs = Sequence[Pair[DesignPoint]]


def interactions_of(
    spec: StudySpec, contrast: Contrast, factors: Sequence[Factor], points: Sequence[DesignPoint], metric: str
) -> tuple[Interaction, ...]:
    """Return differences of differences as one family for Holm's correction.

    Args:
        spec: The study.
        contrast: What is compared.
        factors: All factors but the method.
        points: Design points.
        metric: Name of the headline metric.
    """
    measured = [point for point in points if metric in point.by_seed]
    pairs = {level: pairs_of(contrast, measured, level) for level in contrast.treatments}
    found = [
        *_along_factors(contrast, factors, pairs, metric),
        *_of_pairs(spec, contrast, pairs, metric),
    ]
    evidence = assess([interaction.difference for interaction in found])
    return tuple(replace(each, evidence=own) for each, own in zip(found, evidence, strict=True))


def _along_factors(
    contrast: Contrast, factors: Sequence[Factor], pairs: dict[Any, list[Pair[DesignPoint]]], metric: str
) -> list[Interaction]:
    """Return the gain at each level of each other factor minus the gain at its first level."""
    found = []
    for treatment, own in pairs.items():
        for factor in factors:
            base, *others = factor.levels
            here = [pair for pair in own if pair.setting.level(factor.path) == base]
            for level in others:
                there = [pair for pair in own if pair.setting.level(factor.path) == level]
                if factor.path != contrast.factor.path and here and there:
                    names = contrast.name(treatment), contrast.name(contrast.control)
                    what = f"{factor.text(level)} against {factor.text(base)}"
                    found += [
                        replace(each, factor=factor.name)
                        for each in _interaction(*names, what, there, here, metric, factor.path)
                    ]
    return found


def _of_pairs(
    spec: StudySpec, contrast: Contrast, pairs: dict[Any, list[Pair[DesignPoint]]], metric: str
) -> list[Interaction]:
    """Return the gain of two variants together minus the sum of their gains."""
    if not isinstance(spec.design, AblationDesign) or contrast.factor.path != VARIANT:
        return []
    found = []
    for one, other in spec.design.pairs:
        both, first, second = (pairs.get(name, []) for name in (f"{one} + {other}", one, other))
        with_first = [
            replace(pair, control=single.treatment)
            for pair in both
            for single in first
            if single.setting == pair.setting
        ]
        what = f"together with {one}, against alone"
        found += _interaction(other, contrast.name(contrast.control), what, with_first, second, metric)
    return found


def _interaction(
    treatment: str, control: str, what: str, there: _Pairs, here: _Pairs, metric: str, path: str = ""
) -> list[Interaction]:
    """Return the difference of two gains over the settings they share; nothing if they share none.

    Over different sets of settings, the effect of another factor would be confounded with that of `path`.
    """
    (there, only_there), (here, only_here) = _matched(there, here, path), _matched(here, there, path)
    if not there or not here:
        return []
    difference = difference_of_differences(values_of(there, metric), values_of(here, metric))
    difference = with_example_error(difference, [*averaged(there), *averaged(here, -1)], metric)
    settings, left_out = max(len(there), len(here)), only_there + only_here
    return [Interaction(treatment, control, what, difference, metric, settings=settings, left_out=left_out)]


def _matched(pairs: _Pairs, others: _Pairs, path: str) -> tuple[_Pairs, int]:
    """Return the pairs whose other levels also occur among `others`, and the number of the rest."""
    rests = [pair.setting.without(path) for pair in others]
    matched = [pair for pair in pairs if pair.setting.without(path).meets(rests)]
    return matched, len(pairs) - len(matched)
