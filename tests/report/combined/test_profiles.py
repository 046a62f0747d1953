"""Performance profiles: counts of tasks in which a method comes close to the best."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from l2rw_ray.report.combined.profiles import _behind, profile_tables
from l2rw_ray.report.combined.summary import summarise_combined
from l2rw_ray.report.design_points.labels import metric_spec_for
from tests.report.conftest import FakeStudy, write_study


@pytest.fixture
def studies(tmp_path: Path) -> list[Path]:
    """Two studies of three methods, one of them at two levels, and one of two methods."""
    methods = {"method.name": ["uniform", "random", "l2rw"]}
    first = FakeStudy(name="first", factors=methods, failing=None)
    levels = {"data.bias.level": [0.5, 0.9], **methods}
    second = replace(first, name="second", factors=levels)
    return [write_study(study, tmp_path) for study in (first, second)]


def test_tasks_are_the_settings_of_all_studies(studies):
    (table,) = profile_tables(summarise_combined(studies).studies)
    rows = {row.name: [cell.text for cell in row.cells] for row in table.rows}
    assert list(rows) == ["uniform", "random", "l2rw"]
    assert rows["l2rw"][0] == "3 of 3", "it gains in every setting"
    assert rows["random"][-1] == "3 of 3", "nobody is ten points behind"
    counts = [[int(text.split()[0]) for text in row] for row in rows.values()]
    assert all(row == sorted(row) for row in counts)
    assert table.columns[:2] == ("best", "within 1 point")
    assert "first, second" in table.note


def test_a_single_study_has_no_profile(studies):
    assert profile_tables(summarise_combined(studies).studies[:1]) == ()


def test_what_is_no_share_is_relative_to_the_best():
    task = {"a": 2.0, "b": 3.0}
    assert _behind(task, ["a", "b"], "b", metric_spec_for("test_rmse")) == pytest.approx(0.5)
    share = {"a": 0.9, "b": 0.7}
    assert _behind(share, ["a", "b"], "b", metric_spec_for("test_balanced_accuracy")) == pytest.approx(0.2)
    score = replace(metric_spec_for("test_rmse"), less_is_better=False)
    assert _behind(task, ["a", "b"], "a", score) == pytest.approx(1 / 3)
    assert _behind({"a": -4.0, "b": -5.0}, ["a", "b"], "b", score) == pytest.approx(0.25)


def test_no_distance_is_relative_to_an_error_of_zero():
    task, rmse = {"a": 0.0, "b": 0.1}, metric_spec_for("test_rmse")
    assert (_behind(task, ["a", "b"], "a", rmse), _behind(task, ["a", "b"], "b", rmse)) == (0, math.inf)
