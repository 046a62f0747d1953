"""Reports of studies with gaps say nothing that the gaps make false."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from l2rw_ray.config import PlannedTrial, parse_study
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.report import summarise
from l2rw_ray.report.ablation.comparison_tables import difference_table, interaction_table
from l2rw_ray.report.ablation.csv_files import render_csv
from l2rw_ray.report.ablation.effects import histories_of
from l2rw_ray.report.ablation.equal_compute import equal_compute_table
from l2rw_ray.report.comparisons.contrast import choose_contrast
from l2rw_ray.report.design_points.design_point import TrialCounts
from l2rw_ray.report.design_points.labels import HEADLINE
from l2rw_ray.report.design_points.points import Outcome
from l2rw_ray.report.design_points.setting import Factor, Setting
from l2rw_ray.report.provenance.trials import trials_csv
from l2rw_ray.report.provenance.what_was_run import provenance_of
from l2rw_ray.results import Epochs, StudyFolder
from tests.planning.playing import best_at_a_tenth, play
from tests.report.conftest import FakeStudy, spec_of

LEVEL, RATE, METHOD = "data.bias.level", "data.noise.rate", "method.name"
Write = Callable[[FakeStudy], Path]


def test_a_method_without_a_seed_in_all_settings_is_left_out_at_equal_time(
    fake_study: Write, plain: FakeStudy
) -> None:
    factors = {LEVEL: [0.5, 0.9], METHOD: ["uniform", "l2rw", "random"]}
    lacking = [3, 8, 5, 10, 11]  # l2rw has other seeds at each level, random one trial
    summary = summarise(fake_study(replace(plain, factors=factors, seeds=2, failing=None, missing=lacking)))
    assert [result.name for result in summary.equal_compute] == ["uniform", "random"]
    table = equal_compute_table(summary)
    assert table is not None
    assert "need not differ" not in table.note
    interactions = interaction_table(summary)
    assert interactions is not None
    assert interactions.note.endswith("No pair of equal seed: nothing to compare.")


def test_values_that_do_not_add_up_have_a_note(fake_study: Write, plain: FakeStudy) -> None:
    factors = {LEVEL: [0.5, 0.9], METHOD: ["uniform", "l2rw", "random"]}
    summary = summarise(fake_study(replace(plain, factors=factors, failing=None, missing=[15, 16, 17])))
    table = equal_compute_table(summary)
    assert table is not None
    assert "need not differ" in table.note


def test_an_interaction_is_of_settings_that_both_circumstances_have(
    fake_study: Write, plain: FakeStudy
) -> None:
    factors = {LEVEL: [0.5, 0.9], RATE: [0.0, 0.4], METHOD: ["uniform", "l2rw"]}
    path = fake_study(replace(plain, factors=factors, seeds=2, failing=None, missing=[4, 5, 6, 7]))
    summary = summarise(path)
    at = {
        (point.method, *(level for _, level in point.setting.levels)): np.array(
            [*point.by_seed[HEADLINE].values()]
        )
        for point in summary.points
    }
    expected = (at["l2rw", 0.9, 0.0] - at["uniform", 0.9, 0.0]) - (
        at["l2rw", 0.5, 0.0] - at["uniform", 0.5, 0.0]
    )
    bias, noise = summary.interactions
    assert bias.difference.values == pytest.approx(tuple(expected))
    assert (bias.settings, bias.left_out) == (noise.settings, noise.left_out) == (1, 1)
    table = interaction_table(summary)
    assert table is not None
    assert table.rows[0].name.endswith("(in 1 of 2 settings)")


def test_an_arm_without_a_common_seed_is_in_no_family(fake_study: Write, plain: FakeStudy) -> None:
    factors = {METHOD: ["uniform", "l2rw", "random"]}
    disjoint = summarise(
        fake_study(replace(plain, factors=factors, seeds=4, failing=None, missing=[2, 3, 4, 5]))
    )
    table = difference_table(disjoint)
    assert table is not None
    assert "one error rate of 5 % covers the whole report" in table.note
    assert [row.name for row in table.rows] == ["random"]


def test_a_note_counts_what_p_values_were_corrected_for(fake_study: Write, plain: FakeStudy) -> None:
    factors = {LEVEL: [0.5, 0.9], METHOD: ["uniform", "l2rw", "random"]}
    lacking = [2, 4, 8, 9, 10, 11, 5, 14, 16]  # one seed of l2rw, of random
    found = summarise(fake_study(replace(plain, factors=factors, failing=None, missing=lacking)))
    table = difference_table(found)
    families = {each.evidence.family for each in found.comparisons if each.evidence is not None}
    assert table is not None
    assert families == {1, 2}, "the finding by itself, then both"
    assert "covers the whole report" in table.note


def outcome(setting: dict[str, object], seed: int = 0, *, train: str = "a", **data: object) -> Outcome:
    config = {
        "data": {"source": "digits", "meta_per_class": 5, "validation_size": 9, "test_size": None} | data
    }
    row = {
        "status": "completed",
        "config": json.dumps(config | {"model": {"name": "mlp"}, "optim": {"name": "sgd", "epochs": 1}}),
        "split_hash_train": train,
        **{f"split_hash_{name}": "b" for name in ("meta", "validation", "test")},
        **dict.fromkeys(("train_examples", "hardware", "commit", "versions", "gpus_per_worker")),
        "duration_s": 240.0,
        "core_hours": 1.0,
        "workers": 1,
        "cpus_per_worker": 1,
    }
    return Outcome(f"{setting}-{seed}", seed, "l2rw", Setting(tuple(setting.items())), row)


def provenance(*outcomes: Outcome, path: str = "variant") -> dict[str, str]:
    levels = tuple(dict.fromkeys(each.setting.level(path) for each in outcomes))
    contrast = choose_contrast(["l2rw"], [Factor(path, levels)])
    counts = TrialCounts(len(outcomes), len(outcomes), 0, 0)
    return dict(provenance_of(spec_of(FakeStudy()), outcomes, counts, contrast))


def test_variants_are_compared_by_the_rows_they_saw() -> None:
    one, other = outcome({"variant": "plain"}), outcome({"variant": "noisy"})
    assert provenance(one, other)["Splits"].startswith("all levels saw the same rows")
    differing = provenance(one, outcome({"variant": "noisy"}, train="c"))
    assert differing["Splits"] == "levels differ in their data at 1 of 1 settings and seeds"
    assert provenance(one, outcome({"variant": "noisy"}, seed=1))["Splits"].startswith("not compared")


def test_a_meta_set_that_was_corrupted_is_not_called_clean() -> None:
    noisy = outcome({"variant": "noisy"}, meta_noise={"kind": "uniform", "rate": 0.2})
    clean = outcome({"variant": "plain"}, meta_noise={"kind": "none"}, meta_bias={"kind": "none"})
    assert provenance(clean)["Meta set"] == "5 per class, clean"
    wrong = "wrong labels (uniform, rate 20\N{NO-BREAK SPACE}%)"
    assert provenance(noisy)["Meta set"] == f"5 per class, {wrong}"
    assert provenance(noisy, clean)["Meta set"] == f"5 per class, in some trials clean, in others {wrong}"


def test_a_trial_that_two_arms_share_counts_once() -> None:
    one = outcome({"variant": "plain"})
    other = replace(one, setting=Setting((("variant", "ours"),)))
    assert provenance(one, other)["Training time"] == "4 min"
    assert provenance(one, other)["Cost"] == "1 core-hours"
    values = np.array([0.5, 0.5])
    epochs = Epochs({one.trial_id: slice(0, 2)}, np.array([1, 2]), np.array([2.0, 2.0]), {"figure": values})
    histories = histories_of([one, other], epochs, "figure")
    assert [history.times_s for history in histories.values()] == [(2.0, 4.0)] * 2


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    folder = StudyFolder(tmp_path / "study")
    folder.create()
    return folder


def test_variants_have_lines_of_their_own_over_settings_that_all_levels_have(
    study_tree: dict, folder: StudyFolder
) -> None:
    factors = {RATE: [0.0, 0.4], LEVEL: [0.5, 0.9]}
    bias = {"data.bias": {"kind": "dominant_class", "level": 0.9, "class": 3}}
    variants = {"no weights": {METHOD: "uniform"}}
    trial = study_tree["trial"] | {"data": study_tree["trial"]["data"] | {"bias": bias["data.bias"]}}
    design = {"kind": "ablation", "variants": variants, "factors": factors}
    spec = parse_study(study_tree | {"trial": trial, "design": design, "seeds": 1})
    folder.write_plan(spec, plan_study(spec))

    def metrics(trial: PlannedTrial) -> dict[str, float] | str:
        data, method = trial.config.data, trial.config.method.name
        if (data.noise.rate, data.bias.level, method) == (0.4, 0.9, "uniform"):
            return "failed"
        return {HEADLINE: 0.1 + data.noise.rate + data.bias.level / 10 + 0.2 * (method == "l2rw")}

    play(spec, folder, metrics)
    summary = summarise(folder.path)
    along = {effect.factor.path: effect for effect in summary.effects}
    means = {(point.method, point.level): point.interval.mean for point in along[RATE].points}
    assert means == pytest.approx(
        {
            ("baseline", 0.0): 0.37,
            ("baseline", 0.4): 0.77,
            ("no weights", 0.0): 0.15,
            ("no weights", 0.4): 0.55,
        }
    )
    assert {row["method.name"] for row in csv.DictReader(render_csv(summary).splitlines())} == {
        "uniform",
        "l2rw",
    }


def test_the_control_of_a_tuned_comparison_is_the_designs_first_arm(
    study_tree: dict, folder: StudyFolder
) -> None:
    methods = {"plain": "uniform", "chance": "random", "ours": "l2rw"}
    known = ("chance", "ours")
    for contrast in (
        choose_contrast(known, [], methods),
        choose_contrast(["l2rw"], [Factor("variant", known)], methods),
    ):
        assert (contrast.control, contrast.treatments) == ("plain", ("ours", "chance"))
    design = {
        "kind": "tuned_comparison",
        "arms": {name: {"set": {METHOD: method}} for name, method in methods.items()},
        "space": {"optim.lr": {"kind": "float", "low": 0.001, "high": 1.0, "log": True}},
        "budget": {"trials": 1},
        "factors": {RATE: [0.2, 0.4]},
    }

    def metrics(trial: PlannedTrial) -> dict[str, float] | str:
        is_lost = trial.config.method.name == "uniform" and trial.seed < 1000
        return "failed" if is_lost else {**best_at_a_tenth(trial), HEADLINE: 0.5}

    play(parse_study(study_tree | {"design": design, "seeds": 1}), folder, metrics)
    summary = summarise(folder.path)
    assert summary.finding == "no final trial of plain completed: there is nothing to compare with yet"
    assert (summary.control, summary.comparisons, summary.pooled) == ("plain", (), ())
    rows = list(csv.DictReader(render_csv(summary).splitlines()))
    assert {(row["arm"], row["method.name"]) for row in rows} == {("chance", "random"), ("ours", "l2rw")}
    trials = list(csv.DictReader(trials_csv(summary.trials).splitlines()))
    final = [row for row in trials if row["stage"] == "final"]
    assert {(row["arm"], row["method.name"]) for row in final} == set(methods.items())


def test_an_arm_that_is_alone_is_named_not_the_method_of_the_base_trial(
    study_tree: dict, folder: StudyFolder
) -> None:
    design = {
        "kind": "tuned_comparison",
        "arms": {
            name: {"set": {METHOD: method}} for name, method in (("plain", "uniform"), ("ours", "l2rw"))
        },
        "space": {"optim.lr": {"kind": "float", "low": 0.001, "high": 1.0, "log": True}},
        "budget": {"trials": 1},
    }

    def metrics(trial: PlannedTrial) -> dict[str, float] | str:
        is_lost = trial.config.method.name == "l2rw"
        return "failed" if is_lost else {**best_at_a_tenth(trial), HEADLINE: 0.5}

    assert study_tree["trial"]["method"]["name"] == "l2rw"
    play(parse_study(study_tree | {"design": design, "seeds": 3}), folder, metrics)
    assert summarise(folder.path).finding.startswith("plain: 50.0 % test balanced accuracy (")


def test_an_arm_whose_method_is_a_section_does_not_take_the_place_of_l2rw(
    study_tree: dict, folder: StudyFolder
) -> None:
    tuned = {"method": {"name": "finetune_meta", "finetune_epochs": 1}}
    design = {
        "kind": "tuned_comparison",
        "arms": {
            "plain": {"set": {METHOD: "uniform"}},
            "tuned": {"set": tuned},
            "ours": {"set": {METHOD: "l2rw"}},
        },
        "space": {"optim.lr": {"kind": "float", "low": 0.001, "high": 1.0, "log": True}},
        "budget": {"trials": 1},
    }
    spec = parse_study(study_tree | {"design": design, "seeds": 2})
    play(spec, folder, lambda trial: {**best_at_a_tenth(trial), HEADLINE: 0.5})
    summary = summarise(folder.path)
    assert summary.finding.startswith("ours − plain: ")
    assert dict(summary.arms)["tuned"].endswith(
        "whose last epochs see the clean set alone; with method.finetune_epochs 1"
    )
