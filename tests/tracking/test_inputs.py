import json

from l2rw_ray.tracking.inputs import data_inputs

HASHES = {f"split_hash_{split}": split[0] * 64 for split in ("train", "meta", "validation", "test")}


def test_each_set_has_its_digest_and_size(trial_row):
    row = {
        **trial_row,
        **HASHES,
        "config": '{"data": {"source": "digits"}}',
        "train_examples": 380,
        "split_sizes": [("train", 380), ("meta", 50), ("validation", 200), ("test", 360)],
        "class_counts": [("0", 190), ("1", 190)],
    }
    inputs = {data.split: data for data in data_inputs(row)}
    assert list(inputs) == ["train", "meta", "validation", "test"]
    assert inputs["meta"].name == "digits meta"
    assert inputs["meta"].digest == "m" * 32
    assert json.loads(inputs["test"].profile) == {"num_rows": 360}
    assert json.loads(inputs["train"].profile) == {"num_rows": 380, "class_counts": {"0": 190, "1": 190}}


def test_a_row_of_an_older_ledger_has_what_is_known(trial_row):
    inputs = data_inputs({**trial_row, **HASHES, "train_examples": 380})
    assert [bool(data.profile) for data in inputs] == [True, False, False, False]


def test_a_trial_that_failed_before_it_had_data_has_none(trial_row):
    assert data_inputs({**trial_row, "config": None}) == []


def test_passwords_of_sources_are_masked(trial_row):
    row = {**trial_row, **HASHES, "config": '{"data": {"source": "csv", "root": "s3://ann:s3cret@bucket"}}'}
    assert not any("s3cret" in data.source for data in data_inputs(row))
