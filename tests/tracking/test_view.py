import base64
import json
import zlib
from urllib.parse import parse_qs, urlparse

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.tracking.view import POINTS, TRIALS, studies_page, study_page, study_views

SEARCH = {
    "kind": "search",
    "space": {"optim.lr": {"kind": "float", "low": 0.001, "high": 1.0}},
    "budget": {"trials": 8},
}


@pytest.fixture
def states(study_tree, trial_row):
    """Reads the states of a study's pages, by their keys."""

    def read(row=None, **changes):
        views = study_views(parse_study(study_tree | changes), [trial_row | (row or {})])
        return {
            tag.removeprefix("mlflow.sharedViewState."): decompressed(text) for tag, text in views.items()
        }

    return read


def decompressed(text):
    return json.loads(zlib.decompress(base64.b64decode(text.removeprefix("deflate;"))))


def charts_in(state, section):
    (uuid,) = (each["uuid"] for each in state["compareRunSections"] if each["name"] == section)
    return [chart["metricKey"] for chart in state["compareRunCharts"] if chart["metricSectionId"] == uuid]


def test_a_study_opens_on_its_design_points_sorted_by_the_headline(states):
    state = states({"test_balanced_accuracy": 0.5})[POINTS]
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`test_balanced_accuracy.mean`", False)
    assert state["searchFilter"] == "tags.`l2rw.point` LIKE '%' AND tags.`l2rw.planned` = 'yes'"


def test_the_objective_and_test_metrics_come_first_and_costs_are_folded(states):
    found = states({"test_balanced_accuracy": 0.5, "metrics": [("test_ece", 0.1)]})
    assert charts_in(found[POINTS], "Result") == [
        "validation_balanced_accuracy",
        "test_balanced_accuracy.mean",
        "test_accuracy.mean",
        "test_ece.mean",
    ]
    assert charts_in(found[TRIALS], "Result")[1:] == ["test_balanced_accuracy", "test_accuracy", "test_ece"]
    is_open = {each["name"]: each["display"] for each in found[TRIALS]["compareRunSections"]}
    assert is_open == {
        "Result": True,
        "Training": True,
        "Cost": False,
        "step": False,
        "Model metrics": False,
        "System metrics": False,
    }
    charts = [chart["metricKey"] for chart in found[TRIALS]["compareRunCharts"]]
    assert len(charts) == len(set(charts))


def test_less_is_better_of_a_regression(states):
    state = states({"test_rmse": 0.5, "test_accuracy": None})[TRIALS]
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`test_rmse`", True)


def test_the_configurations_of_a_search_are_its_trials(states):
    assert list(states(design=SEARCH)) == [TRIALS]


def test_pages_have_their_state_in_the_address_and_open_among_trained_models():
    query = parse_qs(urlparse(study_page("7").removeprefix("#")).query)
    assert (query["viewStateShareKey"], query["workflowType"]) == (["l2rw"], ["machine_learning"])
    query = parse_qs(urlparse(studies_page(["7", "8"]).removeprefix("#")).query)
    assert query["experiments"] == ['["7","8"]']
    assert (query["orderByAsc"], query["workflowType"]) == (["false"], ["machine_learning"])
