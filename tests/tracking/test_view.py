import json
from urllib.parse import parse_qs, urlparse

from l2rw_ray.tracking.view import studies_page, study_page, study_view


def test_trials_are_grouped_by_arm_and_levels_and_sorted_by_the_headline(trial_row):
    state = json.loads(study_view([{**trial_row, "test_balanced_accuracy": 0.5}]))
    assert [key["groupByData"] for key in state["groupBy"]["groupByKeys"]] == ["method", "bias"]
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`test_balanced_accuracy`", False)
    assert state["searchFilter"] == "tags.`l2rw.trial_id` LIKE '%' AND tags.`l2rw.planned` = 'yes'"


def test_less_is_better_of_a_regression(trial_row):
    state = json.loads(study_view([{**trial_row, "test_rmse": 0.5}]))
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`test_rmse`", True)


def test_factors_of_equal_short_names_are_distinguished(trial_row):
    rows = [{**trial_row, "factor.data.meta_bias.level": 1, "factor.optim.bias": 1, "factor.a.bias": 2}]
    keys = [key["groupByData"] for key in json.loads(study_view(rows))["groupBy"]["groupByKeys"]]
    assert keys == ["method", "factor.data.bias.level", "meta_bias", "factor.optim.bias", "factor.a.bias"]


def test_pages_have_their_state_in_the_address():
    assert study_page("7").startswith("#/experiments/7/runs?viewStateShareKey=l2rw")
    query = parse_qs(urlparse(studies_page(["7", "8"]).removeprefix("#")).query)
    assert query["experiments"] == ['["7","8"]']
    assert query["orderByAsc"] == ["false"]
