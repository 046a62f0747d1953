import csv
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report import write_combined_report
from l2rw_ray.report.combined.parts import combined_csv, draw_forest, forest_table, main_plot, main_table
from l2rw_ray.report.combined.summary import CombinedSummary, summarise_combined
from l2rw_ray.report.combined.writing import DEFAULT_FOLDER
from l2rw_ray.report.document.style import drawing
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.writer import write_record
from tests.planning.playing import best_at_a_tenth, play
from tests.report.conftest import FakeStudy, plan_of, records_of, spec_of
from tests.report.scaling.scaling_ledgers import WORKERS, write_scaling_study

TWO = {"method.name": ["uniform", "random", "l2rw"]}


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two that share all arms, one with levels and fewer arms, and one of costs."""
    root = tmp_path_factory.mktemp("studies")
    small = FakeStudy(factors=TWO, failing=None)
    fewer = {"data.bias.level": [0.5, 0.9], "method.name": ["uniform", "l2rw"]}
    fakes = [
        replace(small, name="first"),
        replace(small, name="second", gain=0.5, question="And <b>half</b> as much?"),
        replace(small, name="third", factors=fewer),
    ]
    folders = [_write(StudyFolder(root / fake.name), fake) for fake in fakes]
    return [*folders, write_scaling_study(root / "costs", WORKERS)]


def _write(folder: StudyFolder, fake: FakeStudy) -> Path:
    folder.create()
    spec = spec_of(fake)
    plan = plan_of(fake, spec)
    folder.write_plan(spec, plan)
    for record in records_of(fake, plan):
        write_record(folder, record)
    return folder.path


@pytest.fixture(scope="module")
def combined(studies: list[Path]) -> CombinedSummary:
    return summarise_combined(studies)


def test_what_studies_share_stands_side_by_side_and_is_not_pooled(combined):
    shared = {contrast.name: [key for key, _ in contrast.found] for contrast in combined.shared}
    assert shared == {
        "l2rw − uniform": ["first", "second", "third"],
        "random − uniform": ["first", "second"],
    }
    own = [study.comparisons[0] for study in combined.studies[:3]]
    assert [comparison for _, comparison in combined.shared[0].found] == own
    means = sorted(comparison.difference.interval.mean for comparison in own)
    above = sum(comparison.difference.interval.low > 0 for comparison in own)
    assert f"{100 * means[0]:+.1f} to {100 * means[-1]:+.1f} points" in combined.finding
    assert f"over 3 studies; the 95 % interval is above zero in {above}, below in 0" in combined.finding


def test_each_study_has_a_summary(combined):
    first, *_, costs = combined.studies
    assert (first.seeds, first.hardware, first.commit) == ("3", "Imagined CPU, 2 cores", "1234567")
    assert first.effect.endswith("points of test balanced accuracy")
    assert costs.effect.endswith("plain steps")
    assert costs.limits == "median of 5 settings"
    assert not costs.comparisons
    with drawing():
        assert all(main_plot(study) is not None for study in combined.studies)
    assert all(main_table(study) is not None for study in combined.studies)


def test_one_seed_counts_as_no_interval(studies, tmp_path):
    lone = FakeStudy(name="lone", factors=TWO, failing=None, seeds=1)
    found = summarise_combined([studies[0], _write(StudyFolder(tmp_path / "lone"), lone)])
    assert "above zero in 1, below in 0; one seed in 1" in found.finding
    assert found.finding.endswith("; not independent: first and lone share 3 trials")


def test_csv_table_and_forest_agree(combined):
    rows = list(csv.DictReader(combined_csv(combined.studies).splitlines()))
    assert [row["study"] for row in rows] == ["first", "first", "second", "second", "third", "costs"]
    contrast, table = combined.shared[0], forest_table(combined)
    with drawing():
        axes = draw_forest(contrast).axes[0]
    drawn = [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "o"]
    found = [row for row in rows if row["treatment"] == "l2rw"]
    assert [100 * float(row["mean"]) for row in found] == pytest.approx(drawn)
    for found_row, row in zip(found, table.rows, strict=True):
        assert row.cells[0].text == contrast.metric_spec.signed(float(found_row["mean"]))
        low, high = (contrast.metric_spec.signed(float(found_row[side])) for side in ("low", "high"))
        assert row.cells[0].detail == f"{low} to {high}"


def test_the_page_links_to_each_study_and_its_own_report(studies, tmp_path):
    paths = write_combined_report(studies[1:3], tmp_path / "combined")
    page, text = paths.html.read_text("utf-8"), paths.markdown.read_text("utf-8")
    for key in ("second", "third"):
        assert f'href="#study-{key}"' in page
        assert f'id="study-{key}"' in page
        assert f'href="{key}/report.html"' in page
        assert (tmp_path / "combined" / key / "report.html").is_file()
        assert f"]({key}/report.md)" in text
    assert "<b>half" not in page
    assert "<b>half" not in text
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    names = {path.name for path in paths.plots if path.suffix == ".svg"}
    assert names == {"across-1.svg", "study-second.svg", "study-third.svg"}
    assert not re.search(r'(src|href)="https?:', page)


def test_equal_names_are_numbered(studies, tmp_path):
    shutil.copytree(studies[0], tmp_path / "copy")
    keys = [study.key for study in summarise_combined([studies[0], tmp_path / "copy"]).studies]
    assert keys == ["first", "first-2"]


def test_all_unusable_folders_are_named_in_one_line(studies, tmp_path):
    with pytest.raises(StudyFolderError, match=r"2 of 3.*nowhere \(no such folder\).*\(it has no study"):
        summarise_combined([tmp_path / "nowhere", studies[0], tmp_path])
    with pytest.raises(StudyFolderError, match=r"nowhere': no such folder; give the folder"):
        summarise_combined([tmp_path / "nowhere", studies[0]])
    with pytest.raises(StudyFolderError, match="given twice"):
        summarise_combined([studies[0], studies[0]])
    assert Path("results/joined-report") == DEFAULT_FOLDER


def test_a_search_joins_with_its_finding_and_its_best(study_tree: dict, studies: list[Path], tmp_path: Path):
    folder = StudyFolder(tmp_path / "search")
    folder.create()
    space = {"optim.lr": {"kind": "float", "low": 0.001, "high": 1.0, "log": True}}
    design = {"kind": "search", "space": space, "budget": {"trials": 3}}
    play(parse_study(study_tree | {"design": design, "seeds": 1}), folder, best_at_a_tenth)
    first, search = summarise_combined([studies[0], folder.path]).studies
    assert (first.effect != "", search.effect) == (True, "")
    assert search.summary.finding.startswith("best of 3 configurations")
    with drawing():
        assert main_plot(search) is not None
    assert main_table(search).title.startswith("The best 3")
