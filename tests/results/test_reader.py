import math
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2rw_ray.config import PlannedTrial
from l2rw_ray.events import TrialEnded, TrialStatus
from l2rw_ray.results import read_history, read_study
from l2rw_ray.results.reader import trial_results


def end(writer, trial_id, **metrics):
    writer(TrialEnded(trial_id, TrialStatus.COMPLETED, 3, 30, 4.5, metrics))


def test_rows_follow_the_plan_and_missing_trials_have_none(writer, folder, planned):
    for trial in (planned[3], planned[0]):
        end(writer, trial.trial_id, test_accuracy=0.5)
    table = read_study(folder.path)
    assert table["trial_id"].to_pylist() == [planned[0].trial_id, planned[3].trial_id]
    assert table["factor.method.name"].to_pylist() == ["uniform", "l2rw"]


def test_trials_of_an_earlier_plan_are_left_out_unless_asked_for(writer, folder, spec, planned):
    for trial in planned:
        end(writer, trial.trial_id)
    folder.write_plan(spec, planned[:1])
    assert read_study(folder.path).num_rows == 1
    everything = read_study(folder.path, everything=True)
    assert everything.num_rows == 4
    assert everything["factor.method.name"].to_pylist() == ["uniform", None, None, None]


def test_a_trial_that_two_design_points_share_has_two_rows(writer, folder, spec, planned):
    same = replace(planned[0], factors={"method.name": "again"})
    folder.write_plan(spec, [planned[0], same])
    end(writer, planned[0].trial_id)
    assert read_study(folder.path)["factor.method.name"].to_pylist() == ["uniform", "again"]


@pytest.mark.parametrize(
    ("levels", "kind", "stored"),
    [
        ([1, 2], pa.int64(), [1, 2]),
        ([1, 0.5], pa.float64(), [1.0, 0.5]),
        (["a", None], pa.string(), ["a", None]),
        ([True, False], pa.bool_(), [True, False]),
        ([True, 1], pa.string(), ["true", "1"]),
        ([{"b": 1}, None], pa.string(), ['{"b": 1}', "null"]),
    ],
)
def test_factors_are_typed_by_their_levels(writer, folder, spec, planned, levels, kind, stored):
    plan = [
        PlannedTrial(trial.trial_id, trial.config, trial.seed, trial.resources, {"x": level})
        for trial, level in zip(planned, levels, strict=False)
    ]
    folder.write_plan(spec, plan)
    for trial in plan:
        end(writer, trial.trial_id)
    column = read_study(folder.path)["factor.x"]
    assert column.type == kind
    assert column.to_pylist() == stored


def test_an_empty_ledger_has_all_columns(folder):
    table = read_study(folder.path)
    assert table.num_rows == 0
    assert {"test_balanced_accuracy", "factor.method.name", "metrics"} <= set(table.column_names)
    assert read_history(folder.path).num_rows == 0
    assert trial_results(folder.path) == {}


def test_nan_stays_nan_and_absent_stays_null(writer, folder, planned):
    end(writer, planned[0].trial_id, test_accuracy=math.nan)
    (row,) = read_study(folder.path).to_pylist()
    assert math.isnan(row["test_accuracy"])
    assert row["test_balanced_accuracy"] is None


def test_columns_that_an_older_file_lacks_are_null(writer, folder, planned):
    end(writer, planned[0].trial_id, test_accuracy=0.5)
    path = folder.trial_file(planned[0].trial_id)
    pq.write_table(pq.read_table(path).drop_columns(["hardware"]), path)
    assert read_study(folder.path)["hardware"].to_pylist() == [None]


def test_leftovers_of_a_crash_are_not_read(writer, folder, planned):
    end(writer, planned[0].trial_id)
    done = folder.trial_file(planned[0].trial_id)
    shutil.copy(done, done.with_name(f".{done.name}.1.tmp"))
    assert read_study(folder.path).num_rows == 1


def test_figures_with_and_without_a_column_of_their_own(writer, folder, planned):
    end(writer, planned[0].trial_id, validation_accuracy=0.5, validation_own=0.25)
    end(writer, planned[1].trial_id)
    for name, value in (("validation_accuracy", 0.5), ("validation_own", 0.25)):
        found = trial_results(folder.path, [name])
        assert found[planned[0].trial_id].metrics == {name: value}
        assert found[planned[1].trial_id].metrics == {}
