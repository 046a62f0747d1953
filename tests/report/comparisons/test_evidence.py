"""What a report adds to a difference: effect size, corrected p, interaction, equal training time."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.report import summarise, write_report
from l2rw_ray.report.ablation.comparison_tables import difference_table, interaction_table
from l2rw_ray.report.ablation.equal_compute import equal_compute_table
from l2rw_ray.report.ablation.headline import sentence
from l2rw_ray.report.ablation.plots.effects import draw_differences, draw_effect
from l2rw_ray.report.comparisons.families import gated
from l2rw_ray.report.design_points.labels import HEADLINE, p_text
from l2rw_ray.report.search.summary import summarise_search
from l2rw_ray.results import StudyFolder, read_history, read_study
from l2rw_ray.statistics import hedges_g, mean_interval
from l2rw_ray.statistics.aggregates import interquartile_mean
from l2rw_ray.statistics.significance import paired_t_test
from tests.planning.playing import play
from tests.report.conftest import FakeStudy, write_study

LEVEL = "data.bias.level"


def by_seed(path, method, level):
    rows = read_study(path).to_pylist()
    chosen = [row for row in rows if (row["factor.method.name"], row[f"factor.{LEVEL}"]) == (method, level)]
    return np.array([row[HEADLINE] for row in sorted(chosen, key=lambda row: row["seed"])])


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    return write_study(FakeStudy(failing=None, seeds=5), tmp_path_factory.mktemp("studies"))


@pytest.fixture(scope="module")
def summary(complete):
    return summarise(complete)


@pytest.fixture(scope="module")
def written(complete):
    return write_report(complete)


def test_p_values_are_corrected_in_the_order_of_the_report(complete, summary):
    assert len(summary.comparisons) == 6
    differences = [
        by_seed(complete, each.treatment, each.setting.level(LEVEL))
        - by_seed(complete, "uniform", each.setting.level(LEVEL))
        for each in summary.comparisons
    ]
    assert [each.evidence.p for each in summary.comparisons] == [
        pytest.approx(paired_t_test(values)) for values in differences
    ]
    l2rw, random = (each.evidence for each in summary.pooled)
    assert (l2rw.p_corrected, l2rw.family) == (l2rw.p, 1), "the finding is tested at the full level"
    assert random.p_corrected >= max(random.p, l2rw.p)
    below = [each.evidence for each in summary.comparisons]
    assert all(each.p_corrected >= max(each.p, l2rw.p) for each in below)
    assert {each.family for each in below} == {2 + 6 + 4 + 2}
    assert summary.comparisons[0].evidence.effect_size == pytest.approx(hedges_g(differences[0]))


def test_an_interaction_is_the_change_of_the_gain_between_levels(complete, summary):
    found = next(each for each in summary.interactions if (each.treatment, each.what[:2]) == ("l2rw", "90"))
    gain = {
        level: by_seed(complete, "l2rw", level) - by_seed(complete, "uniform", level) for level in (0.5, 0.9)
    }
    assert found.difference.interval.mean == pytest.approx(mean_interval(gain[0.9] - gain[0.5]).mean)
    assert found.evidence.family == 14
    assert interaction_table(summary).corner == "compared, dominance of one class"


def test_one_factor_has_no_interaction(fake_study, plain):
    summary = summarise(fake_study(replace(plain, factors={"method.name": ["uniform", "l2rw"]})))
    assert summary.interactions == ()
    assert interaction_table(summary) is None


def test_tables_csv_and_summary_tell_the_same_differences(written, summary):
    file = next(path for path in written.further_csv if path.name == "comparisons.csv")
    rows = list(csv.DictReader(file.read_text().splitlines()))
    at_equal_time = [line.comparison for line in summary.equal_compute[1:]]
    expected = [*summary.comparisons, *summary.pooled, *summary.interactions, *at_equal_time]
    assert [row["kind"] for row in rows] == ["setting"] * 6 + ["average"] * 2 + ["interaction"] * 4 + [
        "equal time"
    ] * 2
    table, page = difference_table(summary), written.html.read_text()
    shown = [cell.text for row in table.rows for cell in row.cells]
    for row, each in zip(rows, expected, strict=True):
        assert float(row["mean"]) == each.difference.interval.mean
        assert float(row["bootstrap_low"]) == each.evidence.bootstrap.low
        assert float(row["p_corrected"]) == each.evidence.p_corrected
        text = each.metric_spec.signed(float(row["mean"]))
        assert text in page
        if row["kind"] in ("setting", "average"):
            assert text in shown
            assert p_text(float(row["p_corrected"])) in shown


def drawn(figure):
    """Positions of all points of a figure."""
    return [
        point
        for line in figure.axes[0].lines
        if len(line.get_xdata())
        for point in line.get_xydata().tolist()
    ]


def test_figures_csv_and_summary_tell_the_same_figures(written, summary):
    rows = list(csv.DictReader(written.csv.read_text().splitlines()))
    heights = [place[1] for place in drawn(draw_effect(summary, summary.effects[0]))]
    for row in rows:
        for part in ("mean", "low", "high"):
            assert any(abs(height - 100 * float(row[f"{HEADLINE}_{part}"])) < 1e-9 for height in heights)
    file = next(path for path in written.further_csv if path.name == "comparisons.csv")
    places = [place[0] for place in drawn(draw_differences(summary))]
    for row in csv.DictReader(file.read_text().splitlines()):
        if row["kind"] in ("setting", "average"):
            for part in ("mean", "low", "high"):
                assert any(abs(place - 100 * float(row[part])) < 1e-9 for place in places)


def test_what_is_clear_alone_but_not_among_all_is_not_shown(fake_study, plain):
    arms = {"method.name": ["uniform", "l2rw", "random", "focal", "jtt", "resample"]}
    summary = summarise(fake_study(replace(plain, factors=arms, gain=0.55, failing=None, seeds=4)))
    assert summary.pooled[0].is_clear, "the finding is tested at the full level"
    (pooled, *_), _, _ = gated(summary.pooled, [], [], has_primary=False)
    assert pooled.difference.interval.excludes_zero
    assert pooled.evidence.p < 0.05 < pooled.evidence.p_corrected
    assert ": not shown with 4 seeds among 5 comparisons; a new study planned with " in sentence(pooled)


def test_one_seed_has_no_p_value_and_no_effect_size(fake_study, plain):
    paths = write_report(fake_study(replace(plain, seeds=1, failing=None)))
    text = paths.markdown.read_text()
    assert "| compared, dominance of one class | difference | p (corrected) |" in text
    assert "| l2rw, 50 % |" in text
    assert "One seed: nothing can be concluded." in text
    assert "(one seed) | – |" in text
    assert "**+" not in text.split("## Test balanced accuracy (%)")[1]


def test_an_arm_without_the_factor_is_counted_once(study_tree, tmp_path):
    """As in a study where only one arm has the option that is varied."""
    folder = StudyFolder(tmp_path / "study")
    folder.create()
    factors = {"method.name": ["uniform", "l2rw", "focal"], "method.gamma": [1.0, 2.0]}
    design = {"kind": "grid", "factors": factors, "when": {"method.gamma": {"method.name": "focal"}}}
    gain = {"uniform": 0.0, "l2rw": 0.1, "focal": 0.2}

    def metrics(trial):
        noise = np.random.default_rng([trial.seed, len(trial.config.method.name)]).normal(0, 0.01)
        return {HEADLINE: 0.5 + gain[trial.config.method.name] + noise}

    play_grid(parse_study(study_tree | {"design": design, "seeds": 3}), folder, metrics)
    summary = summarise(folder.path)
    assert [(each.treatment, each.settings) for each in summary.pooled] == [("l2rw", 1), ("focal", 2)]
    assert [each.planned_settings for each in summary.pooled] == [1, 2]
    assert "averaged" not in summary.finding
    assert "averaged over 2 settings" in summary.further_findings[0]
    assert [each.treatment for each in summary.comparisons].count("l2rw") == 1
    names = [row.name for row in difference_table(summary).rows]
    assert names == ["l2rw", "focal, 1", "focal, 2", "focal, average of 2"]
    assert write_report(folder.path).finding == summary.finding


def play_grid(spec, folder, metrics):
    from l2rw_ray.planning.plan import plan_study

    folder.write_plan(spec, plan_study(spec))
    play(spec, folder, metrics)


def test_at_equal_time_a_dear_arm_counts_with_its_best_epoch_so_far(complete, summary, written):
    rows = {row.name: row for row in equal_compute_table(summary).rows}
    assert list(rows) == ["uniform", "l2rw", "random"]
    assert rows["l2rw"].cells[3].text == "50"
    epochs = [row for row in read_history(complete).to_pylist() if row["factor.method.name"] == "l2rw"]
    best: dict[str, float] = {}
    for row in epochs:
        if row["epoch"] <= 6:
            value = row["validation_balanced_accuracy"]
            best[row["trial_id"]] = max(value, best.get(row["trial_id"], 0.0))
    assert rows["l2rw"].cells[0].text == f"{100 * np.mean([*best.values()]):.1f}"
    assert rows["uniform"].cells[3].text == "100"
    page = written.html.read_text()
    assert "At equal training time" in page
    assert "Learning curves over training time" in page


def test_several_sources_have_one_figure_for_each_arm(fake_study, plain):
    factors = {"data.source": ["digits", "mnist"], "method.name": ["uniform", "l2rw"]}
    summary = summarise(fake_study(replace(plain, factors=factors, failing=None)))
    (table,) = summary.details
    tasks = [[*point.by_seed[HEADLINE].values()] for point in summary.points if point.method == "l2rw"]
    assert [row.name for row in table.rows] == ["uniform", "l2rw"]
    assert table.rows[1].cells[0].text == f"{100 * interquartile_mean(tasks):.1f}"


def test_times_of_packed_trials_are_not_set_against_each_other(fake_study, plain):
    assert summarise(fake_study(replace(plain, gpus_per_worker=0.5))).equal_compute == ()


def test_every_trial_is_listed_with_its_seed_and_the_hashes_of_its_sets(complete, written):
    file = next(path for path in written.further_csv if path.name == "trials.csv")
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert len(rows) == 45
    assert rows[0]["split_hash_train"] == "0.5-0"
    assert rows[0]["seed"] == "0"
    ledger = {row["trial_id"]: row for row in read_study(complete).to_pylist()}
    for row in rows:
        assert row["status"] == "completed"
        assert float(row[HEADLINE]) == ledger[row["trial_id"]][HEADLINE]


def test_the_report_has_what_reproduces_the_study(written):
    page = written.html.read_text()
    for text in (
        "l2rw-ray run study.yaml",
        "1234567",
        "Imagined CPU",
        "core-hours",
        "torch 2.11.0",
        "by hash",
    ):
        assert text in page


def test_importances_are_shown_where_the_run_kept_them(study_tree, tmp_path):
    folder = StudyFolder(tmp_path / "study")
    folder.create()
    space = {"optim.lr": {"kind": "float", "low": 0.001, "high": 1.0, "log": True}}
    design = {"kind": "search", "space": space, "budget": {"trials": 3}, "sampler": "random"}
    play(parse_study(study_tree | {"design": design, "seeds": 1}), folder)
    saved = {
        "figure": "validation_balanced_accuracy",
        "importances": {"optim.momentum": 0.2, "optim.lr": 0.8},
    }
    folder.importances.write_text(json.dumps(saved))
    table = summarise_search(folder.path).importance
    assert [(row.name, row.cells[0].text) for row in table.rows] == [
        ("learning rate", "80"),
        ("momentum", "20"),
    ]
    assert "Which parameters mattered" in write_report(folder.path).markdown.read_text()
    folder.importances.write_text("{")
    summary = summarise_search(folder.path)
    assert summary.importance is None
    assert "no importances.json" in dict(summary.design)["Importance of parameters"]
