"""Nothing that is written in a plot of the report is cut off or touches its neighbour."""

from dataclasses import replace
from itertools import pairwise

import pytest
from matplotlib.figure import Figure

from l2rw_ray.report.ablation.plots.curves import draw_curves
from l2rw_ray.report.ablation.plots.effects import draw_differences
from l2rw_ray.report.ablation.sections import ablation_sections
from l2rw_ray.report.ablation.summarise import summarise
from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.report.document.style import drawing

LONG = "clean set dominated by one of its classes"


def assert_all_is_within(figure: Figure) -> None:
    figure.canvas.draw()
    width = figure.bbox.width
    for axes in figure.axes:
        for text in (axes.xaxis.label, axes._left_title):
            box = text.get_window_extent()
            assert box.x0 >= 0, text.get_text()
            assert box.x1 <= width, text.get_text()


@pytest.fixture
def summary(fake_study, plain):
    return summarise(fake_study(replace(plain, failing=None)))


def test_names_of_differences_fit_beside_long_names(summary):
    renamed = {name: f"{LONG} {name}" for name in summary.methods}
    pooled = tuple(replace(each, treatment=renamed[each.treatment], setting=None) for each in summary.pooled)
    named = replace(
        summary,
        methods=tuple(renamed.values()),
        control="as it is in the paper",
        pooled=pooled,
        comparisons=pooled,
    )
    with drawing():
        assert_all_is_within(draw_differences(named))


@pytest.mark.parametrize("duration_s", [0.05, 20.0, 9000.0])
def test_titles_and_ticks_of_curves_over_time_are_apart(summary, duration_s):
    settings = [Setting(((LONG, level),)) for level in (1, 2, 3)]
    curves = [
        replace(curve, setting=setting, times_s=tuple(duration_s * epoch for epoch in curve.epochs))
        for setting in settings
        for curve in summary.curves[:1]
    ]
    with drawing():
        figure = draw_curves(summary, curves, settings, by_time=True)
        assert_all_is_within(figure)
        for axes in figure.axes:
            low, high = axes.get_xlim()
            labels = zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
            boxes = [label.get_window_extent() for place, label in labels if low <= place <= high]
            assert len(boxes) >= 3
            assert all(first.x1 + 5 < second.x0 for first, second in pairwise(boxes))


def test_settings_without_a_panel_are_counted(fake_study, plain):
    factors = {"data.bias.level": [0.5, 0.6, 0.7, 0.8, 0.9], "method.name": ["uniform", "l2rw"]}
    summary = summarise(fake_study(replace(plain, factors=factors, failing=None)))
    with drawing():
        sections = [each for section in ablation_sections(summary) for each in (section, *section.folded)]
    notes = {section.title: section.note for section in sections}
    assert notes["Learning curves over training time"] == "3 of 5 settings are shown."
    assert notes["Weights epoch by epoch"] == "3 of 5 settings are shown."
    assert not notes["Learning curves on the validation set"].endswith("are shown.")
