"""Seeds added after a look, and deviations from a registered plan, are on record."""

import json
import math

import pytest

from l2rw_ray.cli.register import register_plan
from l2rw_ray.config import parse_study
from l2rw_ray.errors import ConfigError
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.report.ablation.summarise import summarise
from l2rw_ray.report.provenance.plan_history import plan_history, unknown_primary
from l2rw_ray.results.plans.plan_log import log_plan, plan_hash, plans_with, read_plan_log

GRID = {"design": {"kind": "grid", "factors": {"method.name": ["uniform", "l2rw"]}}}


@pytest.fixture
def spec_at(study_tree):
    return lambda seeds, **changes: parse_study(study_tree | GRID | {"seeds": seeds} | changes)


def test_each_plan_is_a_line_and_none_is_removed(spec_at, folder):
    log_plan(folder, spec_at(5), 0)
    log_plan(folder, spec_at(5), 10)
    log_plan(folder, spec_at(10), 10)
    log_plan(folder, spec_at(5), 20)
    lines = [json.loads(line) for line in folder.plan_log.read_text().splitlines()]
    assert [(len(line["seeds"]), line["results"]) for line in lines] == [(5, 0), (10, 10), (5, 20)]
    log = read_plan_log(folder)
    assert [(len(before.seeds), len(after.seeds)) for before, after in log.extensions] == [(5, 10)]
    assert log.dropped == (5, 6, 7, 8, 9)


def test_seeds_alone_do_not_change_the_hash(spec_at):
    other = GRID["design"] | {"factors": {"method.name": ["uniform", "random"]}}
    assert plan_hash(spec_at(5)) == plan_hash(spec_at(10))
    assert plan_hash(spec_at(5)) != plan_hash(spec_at(5, design=other))


def test_an_extension_before_any_result_costs_nothing(spec_at, folder):
    log_plan(folder, spec_at(3), 0)
    log_plan(folder, spec_at(5), 0)
    history = plan_history(read_plan_log(folder), spec_at(5))
    assert (history.multiplicity, history.warnings) == (1.0, ())


def test_the_report_says_that_seeds_were_added_and_corrects(spec_at, folder):
    from tests.planning.playing import play

    def metrics(trial):
        gain = 0.1 * (trial.config.method.name == "l2rw") + 0.02 * ((7 * trial.seed) % 5)
        value = 0.5 + gain * (1 + trial.seed / 50)
        return {"validation_balanced_accuracy": value, "test_balanced_accuracy": value}

    for seeds in (3, 5):
        spec = spec_at(seeds)
        ended = len(list(folder.trials.glob("*.parquet")))
        folder.write_plan(spec, plan_study(spec))
        log_plan(folder, spec, ended)
        play(spec, folder, metrics)
    summary = summarise(folder.path)
    assert summary.warnings[0] == (
        "Extended from 3 to 5 seeds after results existed: p values are multiplied by 4"
    )
    evidence = summary.pooled[0].evidence
    assert evidence.p_corrected == pytest.approx(4 * evidence.p)


LOOKS = {"start": 5, "most": 20, "looks": 3}


@pytest.mark.parametrize(
    ("later", "before", "after"),
    [
        (LOOKS | {"most": 40}, "looks at 5, 10, 20 seeds", "looks at 5, 14, 40 seeds"),
        (LOOKS | {"looks": 2}, "looks at 5, 10, 20 seeds", "looks at 5, 20 seeds"),
        (20, "looks at 5, 10, 20 seeds", "20 seeds"),
    ],
)
def test_looks_that_are_changed_later_are_on_record(spec_at, folder, later, before, after):
    """A first look at the same five seeds hides nothing of what follows it."""
    register_plan(spec_at(LOOKS), folder, "l2rw", None)
    for seeds, results in ((LOOKS, 0), (later, 20)):
        log_plan(folder, spec_at(seeds), results)
    history = plan_history(read_plan_log(folder), spec_at(later))
    assert history.warnings == (
        f"Changed from {before} to {after} after results existed: p values are multiplied by 4",
        f"Deviates from the plan that was registered: {after} instead of {before}",
    )
    assert history.multiplicity == 4 * spec_at(later).looks
    assert history.rows[-1][1].endswith(f"l2rw first, {before}")


def test_looks_changed_before_any_result_are_a_deviation_only(spec_at, folder):
    register_plan(spec_at(LOOKS), folder, "", None)
    log_plan(folder, spec_at(LOOKS | {"most": 10}), 0)
    history = plan_history(read_plan_log(folder), spec_at(LOOKS | {"most": 10}))
    (warning,) = history.warnings
    assert warning.endswith(
        "looks at 5, 7, 10 seeds instead of looks at 5, 10, 20 seeds; "
        "seeds 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 dropped"
    )
    assert history.multiplicity == 3


@pytest.mark.parametrize(
    ("later", "dropped", "factor"),
    [([0, 1, 4], "seeds 2, 3", 1), ([0, 1, 2, 3, 5], "seed 4", 4), (list(range(50, 80)), "seeds 0, 1", 4)],
)
def test_seeds_that_are_dropped_are_named(spec_at, folder, later, dropped, factor):
    register_plan(spec_at(5), folder, "", None)
    for seeds, results in ((5, 0), (later, 10)):
        log_plan(folder, spec_at(seeds), results)
    history = plan_history(read_plan_log(folder), spec_at(later))
    *_, warning, deviation = history.warnings
    assert warning.startswith(f"Dropped after results existed: {dropped}")
    assert f"; {dropped}" in deviation
    assert history.multiplicity == factor
    log_plan(folder, spec_at(80), 10)
    assert read_plan_log(folder).dropped == ()


def test_seeds_that_are_replaced_are_named(spec_at, folder):
    register_plan(spec_at([0, 1, 2]), folder, "", None)
    for seeds, results in (([0, 1, 2], 0), ([3, 4, 5], 3)):
        log_plan(folder, spec_at(seeds), results)
    added, dropped, deviation = plan_history(read_plan_log(folder), spec_at([3, 4, 5])).warnings
    assert added.startswith("Added seeds 3, 4, 5 after results existed")
    assert dropped.startswith("Dropped after results existed: seeds 0, 1, 2.")
    assert deviation.endswith("seeds 3, 4, 5 added; seeds 0, 1, 2 dropped")
    (same,) = plan_history(read_plan_log(folder), spec_at([5, 4, 3])).warnings[2:]
    assert "instead of" not in same


def test_the_plan_of_an_older_folder_is_where_its_log_begins(spec_at, folder):
    """A run adds it when it writes; `plan` and the rule of looks know it before."""
    folder.write_plan(spec_at(5), plan_study(spec_at(5)))
    plans = plans_with(spec_at(LOOKS), folder, 10)
    assert [each.look_sizes or each.seeds for each in plans.entries] == [(0, 1, 2, 3, 4), (5, 10, 20)]
    assert plan_history(plans, spec_at(LOOKS)).multiplicity == 3 * 4


def test_a_log_without_the_sizes_of_looks_is_read(spec_at, folder):
    """As written before they were logged: what is unknown is no change."""
    for registered in (True, False):
        log_plan(folder, spec_at(LOOKS), 0, registered=registered)
    lines = [json.loads(line) for line in folder.plan_log.read_text().splitlines()]
    old = [{name: value for name, value in line.items() if name != "look_sizes"} for line in lines]
    folder.plan_log.write_text("\n".join(map(json.dumps, old)))
    log_plan(folder, spec_at(LOOKS), 10)
    log = read_plan_log(folder)
    assert [each.look_sizes for each in log.entries] == [(), (), (5, 10, 20)]
    assert plan_history(log, spec_at(LOOKS)).warnings == ()
    (warning,) = plan_history(log, spec_at(LOOKS | {"looks": 4})).warnings
    assert warning.endswith("looks at 5, 8, 13, 20 seeds instead of 3 looks from 5 seeds on")


def test_deviations_from_a_registered_plan_are_printed(spec_at, folder):
    text = register_plan(spec_at(5), folder, "l2rw", 0.01)
    assert "before any result" in text
    assert "10 trials, 5 seeds" in text
    assert "margin   1.0 points of test balanced accuracy\n" in text
    log = read_plan_log(folder)
    same = plan_history(log, spec_at(5))
    assert same.warnings == ()
    assert same.primary == "l2rw"
    assert same.rows[0][1].endswith("before any result: l2rw first, 5 seeds")
    assert unknown_primary(same, ["random", "l2rw"]) == ()
    assert unknown_primary(same, ["random"]) == (
        "Registered to be tested first: 'l2rw', which is none of random",
    )
    (warning,) = plan_history(log, spec_at(8)).warnings
    assert warning == "Deviates from the plan that was registered: 8 seeds instead of 5 seeds"
    with pytest.raises(
        ConfigError, match=r"--primary = 'nothing': nothing that .* compares; use one of l2rw"
    ):
        register_plan(spec_at(5), folder, "nothing", None)
    with pytest.raises(ConfigError, match=r"--primary = 'l2wr': .*; did you mean 'l2rw'"):
        register_plan(spec_at(5), folder, "l2wr", None)
    with pytest.raises(
        ConfigError, match=r"registered at .*, and the first registration counts; use another"
    ):
        register_plan(spec_at(5), folder, "l2rw", None)
    for margin in (0, -1.0, math.nan, math.inf):
        with pytest.raises(ConfigError, match=r"--margin = .*use a finite number above 0"):
            register_plan(spec_at(5), folder, "", margin)
