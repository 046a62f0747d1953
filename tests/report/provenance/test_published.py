"""Published figures stand beside those of the design points that they are of."""

from typing import Any

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.errors import ConfigError
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.report.provenance.published import published_tables
from l2rw_ray.statistics import mean_interval


def point(method: str, rate: float, *values: float) -> DesignPoint:
    by_seed = {"test_accuracy": dict(enumerate(values))}
    intervals = {"test_accuracy": mean_interval(values)}
    return DesignPoint(method, Setting((("data.noise.rate", rate),)), by_seed, intervals, True)


POINTS = [point("uniform", 0.4, 0.6, 0.7), point("l2rw", 0.4, 0.85, 0.85), point("l2rw", 0.2, 0.9, 0.9)]


def rows(study_tree: dict, *figures: dict[str, Any]) -> list[list[str]]:
    study_tree["published"] = [{"source": "Some paper", "conditions": "Otherwise.", "figures": list(figures)}]
    (table,) = published_tables(parse_study(study_tree), POINTS)
    assert table.note.startswith("Otherwise. ")
    return [[row.name, *(cell.text for cell in row.cells)] for row in table.rows]


def test_a_figure_stands_beside_the_mean_of_its_design_point(study_tree: dict) -> None:
    at = {"data.noise.rate": 0.4}
    found = rows(study_tree, {"method": "uniform", "value": 67.97}, {"method": "l2rw", "at": at, "value": 80})
    assert [row[1] for row in found] == ["67.97", "80"]
    assert [row[3] for row in found] == ["−2.97", "+5.00"]


def test_a_figure_of_no_or_of_several_settings_has_none_beside_it(study_tree: dict) -> None:
    found = rows(
        study_tree, {"method": "l2rw", "value": 80}, {"method": "random", "value": 70, "spread": 0.5}
    )
    assert [row[2:] for row in found] == [["–", "–"]] * 2


def test_a_figure_stands_beside_the_arm_of_its_method(study_tree: dict) -> None:
    study_tree["design"] = {
        "kind": "tuned_comparison",
        "arms": {"plain": {"set": {"method.name": "uniform"}}, "ours": {"set": {"method.name": "l2rw"}}},
        "space": {"optim.lr": {"kind": "float", "low": 0.01, "high": 0.1}},
        "budget": {"trials": 2},
    }
    study_tree["published"] = [{"source": "Some paper", "figures": [{"method": "uniform", "value": 60}]}]
    interval = {"test_accuracy": mean_interval([0.6, 0.7])}
    points = [
        DesignPoint("l2rw", Setting((("variant", arm),)), {}, interval, True) for arm in ("plain", "ours")
    ]
    (table,) = published_tables(parse_study(study_tree), points)
    assert [cell.text for cell in table.rows[0].cells] == ["60", "65.0", "+5.00"]


def test_only_test_metrics_are_published(study_tree: dict) -> None:
    figures = [{"method": "l2rw", "value": 1}]
    study_tree["published"] = [{"source": "Some paper", "metric": "validation_loss", "figures": figures}]
    with pytest.raises(ConfigError, match=r"published\[0\].metric = .*: papers publish test metrics"):
        parse_study(study_tree)
