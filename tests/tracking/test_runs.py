import json
from datetime import timedelta

from l2rw_ray.tracking.runs import (
    factor_tags,
    factors_of,
    outcome_of,
    trial_files,
    trial_name,
    trial_params,
    trial_tags,
)


def test_names_say_arm_level_and_seed(trial_row):
    assert trial_name(trial_row) == "l2rw · bias 0.9 · seed 3"
    more = {**trial_row, "factor.method.update_every": 4, "factor.model.name": "mlp"}
    assert trial_name(more) == "l2rw · bias 0.9 · update_every 4 · model mlp · seed 3"


def test_params_are_the_flat_configuration(trial_row):
    params = trial_params(trial_row)
    assert params["data.bias.level"] == "0.9"
    assert params["method.name"] == "l2rw"
    assert params["seed"] == "3"
    assert params["resources.workers"] == "1"


def test_tags_leave_out_what_is_not_known(trial_row):
    tags = trial_tags(trial_row)
    assert tags["hardware"] == "Imagined CPU"
    assert "error" not in tags
    assert len(trial_tags({**trial_row, "error": "x" * 10_000})["error"]) == 1000


def test_another_run_of_a_trial_is_another_outcome(trial_row):
    later = {**trial_row, "started_at": trial_row["started_at"] + timedelta(days=1)}
    assert len({outcome_of(row) for row in (trial_row, later, {**trial_row, "status": "failed"})}) == 3


def test_factors_of_a_trial_beyond_the_plan_are_none(trial_row):
    assert factors_of({**trial_row, "factor.data.bias.level": None}) == {}


def test_levels_are_tags_of_short_names(trial_row):
    assert trial_tags(trial_row)["bias"] == "0.9"
    assert factor_tags({"data.bias.level": 0.9, "data.noise.rate": 0.2}) == {"bias": "0.9", "noise": "0.2"}
    assert factor_tags({"a.bias.level": 1, "b.bias.level": 2}) == {
        "factor.a.bias.level": "1",
        "factor.b.bias.level": "2",
    }
    assert factor_tags({"method.seed": 1}) == {"factor.method.seed": "1"}, "the seed is a parameter"


def test_nothing_is_tagged_twice(trial_row):
    row = {**trial_row, "commit": "abc123", "stage": "final", "versions": '{"torch": "2.15"}'}
    assert trial_tags(row) == {
        "bias": "0.9",
        "hardware": "Imagined CPU",
        "method": "l2rw",
        "mlflow.source.git.commit": "abc123",
        "mlflow.source.name": "l2rw-ray",
        "stage": "final",
    }


def test_a_variant_is_named_in_place_of_its_method(trial_row):
    assert trial_name({**trial_row, "factor.variant": "held"}) == "held · bias 0.9 · seed 3"


def test_the_estimator_is_a_tag_beside_that_of_the_factor(trial_row):
    row = {
        **trial_row,
        "estimator_used": "ghost",
        "certificate_error": 2e-7,
        "factor.method.estimator": "auto",
    }
    assert (trial_tags(row)["estimator_used"], trial_tags(row)["estimator"]) == ("ghost", "auto")
    assert "estimator_used" not in trial_tags(trial_row)


def test_versions_are_in_a_file(trial_row):
    files = trial_files({**trial_row, "versions": '{"torch": "2.15"}', "commit": "abc123"})
    assert json.loads(files["config.json"])["optim"] == {"lr": 0.1}
    environment = json.loads(files["environment.json"])
    assert (environment["versions"], environment["commit"]) == ({"torch": "2.15"}, "abc123")


def test_passwords_in_a_configuration_or_an_error_are_masked(trial_row):
    config = '{"data": {"root": "https://ann:s3cret@host/data"}}'
    row = {**trial_row, "config": config, "error": "OSError: https://ann:s3cret@host/data is gone"}
    everything = [*trial_params(row).values(), *trial_tags(row).values(), *trial_files(row).values()]
    assert not any("s3cret" in text for text in everything)
    assert trial_params(row)["data.root"] == "https://***@host/data"
