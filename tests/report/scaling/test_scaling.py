import csv
import os
from dataclasses import astuple, replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report import write_report
from l2rw_ray.report.document.style import drawing
from l2rw_ray.report.document.table import TableCell
from l2rw_ray.report.scaling.csv_files import scaling_csv
from l2rw_ray.report.scaling.names import names_of
from l2rw_ray.report.scaling.plots import draw_workers
from l2rw_ray.report.scaling.points import MEASURED, RATIO, STEP_S, scaling_points
from l2rw_ray.report.scaling.sections import scaling_sections
from l2rw_ray.report.scaling.summary import ScalingSummary, summarise_scaling
from l2rw_ray.report.scaling.tables import SCALED, estimator_table, points_table, projection_table
from l2rw_ray.report.scaling.trends import Trend
from l2rw_ray.report.scaling.workers import worker_curves
from l2rw_ray.statistics import Interval
from l2rw_ray.statistics.scaling import Scaling
from tests.report.scaling.scaling_ledgers import OVERHEAD, SERIAL, WORKERS, write_scaling_study

GOLDEN = Path(__file__).parents[1] / "golden" / "scaling.md"
REGENERATE = "L2RW_REGENERATE_GOLDEN"  # set it to 1 and run this file to accept the present text


@pytest.fixture(scope="module")
def overhead_study(tmp_path_factory) -> Path:
    return write_scaling_study(tmp_path_factory.mktemp("studies") / "overhead", OVERHEAD)


@pytest.fixture(scope="module")
def overhead(overhead_study) -> ScalingSummary:
    return summarise_scaling(overhead_study)


@pytest.fixture(scope="module")
def workers_study(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("studies") / "workers"
    return write_scaling_study(path, WORKERS, noise=0.001)


@pytest.fixture(scope="module")
def workers(workers_study) -> ScalingSummary:
    return summarise_scaling(workers_study)


def trend_of(summary: ScalingSummary, axis: str) -> Trend:
    return next(trend for trend in summary.trends if trend.axis.name == axis)


def test_trends_hold_all_else_equal(overhead):
    found = [(trend.axis.name, trend.levels) for trend in overhead.trends]
    expected = {
        "batch size": (25, 100, 400),
        "meta examples per step": (10, 50),
        "layers": (20, 32),
        "width": (1, 4),
        "steps per weight update": (1, 4),
    }
    assert found == [(name, levels) for name, levels in expected.items() for _ in range(3)]
    for trend in overhead.trends:
        assert len({point.without(trend.axis.path, *trend.axis.follows) for point in trend.points}) == 1


def test_exponents_are_the_ledgers(overhead):
    by_batch, by_width = trend_of(overhead, "batch size"), trend_of(overhead, "width")
    assert by_batch.laws["step_time_plain_s"].exponent.mean == pytest.approx(0.5, abs=0.02)
    assert by_batch.laws["peak_memory_plain_bytes"].exponent.mean == pytest.approx(1)
    assert by_width.laws["step_time_plain_s"].exponent.mean == pytest.approx(1.5, abs=0.03)
    law = overhead.ratio_laws[0].law
    assert law.constant.mean == pytest.approx(1.4, abs=0.05)
    assert law.slope.mean == pytest.approx(1, abs=0.15)


def test_the_finding_spans_all_settings_beside_the_paper_and_the_bound(overhead):
    means = [point.intervals[RATIO].mean for point in overhead.points]
    assert f"takes {min(means):.2f} to {max(means):.2f} plain ones" in overhead.finding
    assert "24 settings, 3 seeds each" in overhead.finding
    assert "2405.06859 estimates about 3" in overhead.finding
    assert "times the bound 1 + M/(N·B) (median" in overhead.finding
    assert overhead.further_findings[0].startswith("Estimator auto: ")
    seldom = next(p for p in overhead.points if p.facets.level("method.update_every") == 4)
    assert seldom.bound == pytest.approx(1 + 10 / 400)


def test_the_cheapest_estimator_is_named_where_its_lead_is_clear(overhead):
    assert {choice.cheapest for choice in overhead.choices} == {"auto"}
    table = estimator_table(overhead)
    assert table.columns == ("auto", "finite difference", "second order")
    bold = [[cell.is_clear for cell in row.cells] for row in table.rows]
    assert [True, False, False] in bold
    for line, choice in zip(bold, overhead.choices, strict=True):
        assert any(line) == (choice.lead.low > 1)


def test_what_auto_took_stands_beside_its_ratio(overhead, tmp_path):
    plain = estimator_table(overhead)
    table = estimator_table(
        summarise_scaling(
            write_scaling_study(tmp_path / "taken", OVERHEAD, estimator_used="finite_difference")
        )
    )
    for known, before in zip(table.rows, plain.rows, strict=True):
        detail = f"{before.cells[0].detail}, by finite difference"
        assert known.cells == (replace(before.cells[0], detail=detail), *before.cells[1:])
    assert "what auto took" in table.note
    assert "what auto took" not in plain.note


def test_names_tell_what_differs(overhead):
    names = names_of([(point, point.facets) for point in overhead.points])
    assert len(set(names)) == len(names)
    assert names[0] == "resnet20_gn, batch 100, meta batch 10, weights every step, auto"
    assert {"batch 25, auto", "resnet32_gn, second order", "wrn16_4_gn, auto"} <= set(names)


def test_speed_up_is_amdahls_and_its_projection_is_called_one(workers):
    curves = {(curve.scaling, curve.step): curve for curve in workers.workers}
    strong, weak = curves[Scaling.STRONG, STEP_S], curves[Scaling.WEAK, STEP_S]
    assert [(each.workers, each.point.level("optim.batch_size")) for each in strong.points] == [
        *((1, 50), (2, 50), (4, 50))
    ]
    assert [each.point.level("optim.batch_size") for each in weak.points] == [50, 100, 200]
    expected = [1 / (SERIAL + (1 - SERIAL) / number) for number in (1, 2, 4)]
    assert [each.speedup.mean for each in strong.points] == pytest.approx(expected, rel=0.01)
    assert strong.points[2].efficiency.mean == pytest.approx(expected[2] / 4, rel=0.01)
    assert strong.serial.interval.mean == pytest.approx(SERIAL, abs=0.01)
    assert [strong.serial.project(8).mean] == pytest.approx([1 / (SERIAL + 0.1)], rel=0.02)
    table = projection_table(workers)
    assert "not measured" in table.title
    assert "Projected from up to 4 workers to twice as many" in table.note
    assert any("4 workers at batch 50: " in sentence for sentence in workers.further_findings)


def test_each_curve_is_projected_by_its_own_law_to_twice_its_workers(workers):
    first, second = workers.workers[:2]
    curves = (replace(first, points=first.points[:2]), second)
    table = projection_table(replace(workers, workers=curves))
    assert table.columns[1:] == ("fits within", "4 workers", "8 workers")
    for row, curve, numbers in zip(table.rows, curves, ((4,), (4, 8)), strict=True):
        means = [f"{curve.serial.project(number).mean:.2f}" for number in numbers]
        assert [cell.text for cell in row.cells[2:]] == [*means, "–"][:2], "no further than twice its own"
    assert "from up to 2 or 4 workers" in table.note


def test_two_numbers_of_workers_are_not_projected(workers):
    few = [point for point in workers.points if point.level("resources.workers") < 4]
    curves = worker_curves(few)
    assert [len(curve.points) for curve in curves] == [2] * len(curves)
    assert [curve.serial for curve in curves] == [None] * len(curves)
    assert projection_table(replace(workers, workers=curves)) is None


def test_the_fit_of_a_law_is_shown_beside_its_projection(workers):
    (curve, *_) = workers.workers
    assert curve.misfit < 0.02
    fast = Interval(*(2 * limit for limit in astuple(curve.points[1].speedup)[:3]), 3)
    off = replace(curve.points[1], speedup=fast)
    bent = replace(curve, points=(curve.points[0], off, *curve.points[2:]))
    assert bent.misfit == pytest.approx(0.5, abs=0.02)
    (row,) = projection_table(replace(workers, workers=(bent,))).rows
    assert row.cells[1].text == f"{100 * bent.misfit:.0f} %"
    assert "fitted law" in [text.get_text() for text in draw_workers((bent,)).legends[0].get_texts()]


def test_workers_without_a_seed_of_one_worker_are_no_curve(workers):
    others = [
        replace(point, by_seed={name: {9: 1.0} for name in point.by_seed})
        for point in workers.points
        if point.level("resources.workers") > 1
    ]
    alone = [point for point in workers.points if point.level("resources.workers") == 1]
    assert worker_curves([*alone, *others]) == ()


def test_whatever_a_study_varies_keeps_points_apart(tmp_path):
    factors = {"resources.gpus_per_worker": [0, 1], "data.train_size": [800, None]}
    design = {"kind": "grid", "factors": factors | {"method.estimator": ["auto", "last_layer"]}}
    summary = summarise_scaling(write_scaling_study(tmp_path / "varied", design, seeds=1))
    assert len({point.facets for point in summary.points}) == len(summary.points) == 8
    assert {len(choice.by_estimator) for choice in summary.choices} <= {2}
    assert "the bound 1 + M/B" in summary.finding
    assert summary.median_of == 4


def test_a_study_of_the_last_layer_alone_has_a_finding(tmp_path):
    design = {"kind": "grid", "factors": {"method.estimator": ["last_layer"]}}
    summary = summarise_scaling(write_scaling_study(tmp_path / "last", design))
    assert summary.finding.startswith("A reweighted step takes 1.3")
    assert "the last layer only" in summary.finding


def test_csv_tables_and_figures_have_the_same_numbers(overhead):
    rows = list(csv.DictReader(scaling_csv(overhead).splitlines()))
    table = points_table(overhead)
    for csv_row, point, row in zip(rows, overhead.points, table.rows, strict=True):
        for name, cell in zip(MEASURED, row.cells, strict=False):
            assert float(csv_row[f"{name}_mean"]) == point.intervals[name].mean
            assert float(csv_row[f"{name}_low"]) == point.intervals[name].low
            assert cell.text == SCALED[name].text(point.intervals[name].mean)
        assert float(csv_row["bound"]) == point.bound
    with drawing():
        plots = {p.name: p.figure for s in scaling_sections(overhead) for p in s.plots}
    trend, axes = trend_of(overhead, "batch size"), plots["time-by-batch-size"].axes[0]
    drawn = {tuple(line.get_ydata().tolist()) for line in axes.lines}
    assert tuple(1000 * point.intervals[STEP_S].mean for point in trend.points) in drawn
    assert tuple(1000 * point.intervals["step_time_plain_s"].mean for point in trend.points) in drawn
    scattered = {y for line in plots["ratios"].axes[0].lines for y in line.get_ydata()}
    assert {point.intervals[RATIO].mean for point in overhead.points} <= scattered


def test_the_study_file_chooses_the_report(workers_study):
    paths = write_report(workers_study)
    page, text = paths.html.read_text("utf-8"), paths.markdown.read_text("utf-8")
    for sentence in (
        paths.finding,
        "By batch size",
        "By workers",
        "Speed-up by workers",
        "not measured",
        "Imagined CPU",
    ):
        assert sentence in page
        assert sentence in text
    assert "![Step time by batch size](figures/time-by-batch-size.svg)" in text
    assert {path.name for path in paths.plots} >= {"ratios.svg", "ratios.png", "strong-speed-up.svg"}
    if os.environ.get(REGENERATE):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")
    for path in paths.plots:
        if path.suffix == ".svg":
            ElementTree.parse(path)
    ids = [part.split('"')[0] for part in page.split('id="')[1:]]
    assert len(ids) == len(set(ids))


def test_one_seed_has_no_intervals_and_says_so(tmp_path):
    path = write_scaling_study(tmp_path / "one", WORKERS, seeds=1)
    summary = summarise_scaling(path)
    assert "one seed" in summary.finding
    assert any(warning.startswith("One seed: there are no intervals") for warning in summary.warnings)
    text = write_report(path).markdown.read_text()
    assert "nan" not in text.lower()


def test_times_from_a_shared_gpu_are_left_out_and_memory_is_kept(tmp_path):
    path = write_scaling_study(tmp_path / "shared", WORKERS, seeds=1, gpus_per_worker=0.5)
    summary = summarise_scaling(path)
    assert "no time of a reweighted step is usable, since trials shared a GPU" in summary.finding
    assert summary.median_ratio is None
    assert not summary.choices
    assert trend_of(summary, "batch size").laws.keys() == {"peak_memory_plain_bytes", "peak_memory_bytes"}
    assert points_table(summary).rows[0].cells[1] == TableCell("unusable", "GPU shared")


def test_a_study_without_a_measured_step_is_refused(tmp_path):
    path = write_scaling_study(tmp_path / "plain", WORKERS, seeds=1, metrics={"parameters": 2.7e5})
    with pytest.raises(StudyFolderError, match=r"no trial has measured.*probe_rounds"):
        write_report(path)
    assert scaling_points([], {}) == ()


def test_trials_at_once_are_a_warning(tmp_path):
    summary = summarise_scaling(write_scaling_study(tmp_path / "together", WORKERS, seeds=1))
    assert any(warning.startswith("On average 5.0 trials ran at once") for warning in summary.warnings)
