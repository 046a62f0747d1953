import csv
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from l2rw_ray.cli.report import publish_study
from l2rw_ray.report import write_report
from l2rw_ray.report.suspects.summary import summarise_suspects
from l2rw_ray.report.suspects.suspect_list import list_suspects
from l2rw_ray.report.suspects.tables import suspect_table
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.suspects import SUSPECTS_SCHEMA

Write = Callable[..., Path]


def test_the_report_lists_suspects_and_how_good_the_list_is(with_evidence: Write) -> None:
    study = with_evidence()
    page = write_report(study).html.read_text()
    assert "Labels that may be wrong" in page
    assert "How well rankings find the labels known to be wrong" in page
    assert "By combined evidence of 3 trials of l2rw (the best on the validation set)." in page
    text = (study / "report" / "report.md").read_text()
    assert "Labels that may be wrong" in text
    assert "data:image" not in text


def test_of_targets_no_number_of_other_labels_is_told(with_evidence: Write) -> None:
    found = list_suspects(StudyFolder(with_evidence()))
    assert "Models prefer another label for " in suspect_table(summarise_suspects(found)).note
    targets = np.ones(len(found))
    evidence = replace(found.evidence, is_regression=True, target=targets, predicted=targets)
    note = suspect_table(summarise_suspects(replace(found, evidence=evidence))).note
    assert f"What models predict stands under models prefer, for {len(found)} targets; " in note
    assert "another label" not in note


def test_what_comes_from_data_is_escaped(with_evidence: Write) -> None:
    page = write_report(with_evidence()).html.read_text()
    assert "&lt;b&gt;dog&lt;/b&gt;" in page
    assert "<b>dog</b>" not in page
    assert "<script>alert" not in page
    assert "img-src data:" in page
    assert 'src="data:image/png;base64,iVBORw==' in page


def test_long_texts_get_a_wide_column(with_evidence: Write) -> None:
    """On a phone the column would be one word wide; the table scrolls instead."""
    page = write_report(with_evidence()).html.read_text()
    assert '<span class="value long">=cmd() &lt;script&gt;' in page
    assert '<span class="value">cat</span>' in page


def test_the_whole_ranking_is_there_to_take_away(with_evidence: Write) -> None:
    report = write_report(with_evidence()).html.parent
    rows = list(csv.DictReader(io.StringIO((report / "suspects.csv").read_text())))
    table = pq.read_table(report / "suspects.parquet")
    assert table.schema == SUSPECTS_SCHEMA
    assert [row["id"] for row in rows] == table["id"].to_pylist()
    assert {row["given"] for row in rows} == {"cat", "<b>dog</b>", "'=horse"}, "no formula"
    assert set(table["given"].to_pylist()) == {"cat", "<b>dog</b>", "=horse"}
    assert "'=cmd() <script>alert(1)</script>" in {row["text"] for row in rows}
    assert rows[0]["rank"] == "1"


def test_a_published_study_has_the_ranking_without_the_evidence(with_evidence: Write, tmp_path: Path) -> None:
    published = publish_study(str(with_evidence()), str(tmp_path / "published"))
    assert "Labels that may be wrong" in Path(published).read_text()
    files = {path.name for path in (tmp_path / "published").iterdir()}
    assert files >= {"suspects.parquet", "suspects.json"}
    assert not files & {"suspects.csv", "examples"}


def test_a_study_is_published_without_what_its_examples_show(with_evidence: Write, tmp_path: Path) -> None:
    page = Path(publish_study(str(with_evidence()), str(tmp_path / "published")))
    assert "data:image/png;base64,iVBORw" not in page.read_text()
    assert not [file for file in page.parent.rglob("*") if file.is_file() and b"=cmd()" in file.read_bytes()]
    table = pq.read_table(page.parent / "suspects.parquet")
    assert table["text"].null_count == table["image"].null_count == len(table)


def test_previews_are_published_on_demand(with_evidence: Write, tmp_path: Path) -> None:
    page = Path(publish_study(str(with_evidence()), str(tmp_path / "first"), previews=True))
    again = Path(publish_study(str(page.parent), str(tmp_path / "again"), previews=True))
    for each in (page, again):
        assert "data:image/png;base64,iVBORw" in each.read_text()
        assert "=cmd()" in each.read_text()


def test_previews_do_not_stay_where_they_are_not_asked_for(with_evidence: Write, tmp_path: Path) -> None:
    first = Path(publish_study(str(with_evidence()), str(tmp_path / "first"), previews=True)).parent
    for out in (tmp_path / "again", first):
        folder = Path(publish_study(str(first), str(out))).parent
        ranking = pq.read_table(folder / "suspects.parquet")
        assert ranking.num_rows
        assert ranking["text"].null_count == ranking["image"].null_count == ranking.num_rows
        assert "=cmd()" not in (folder / "suspects.json").read_text()


def test_a_ranking_goes_with_its_evidence(with_evidence: Write, tmp_path: Path) -> None:
    study = with_evidence()
    publish_study(str(study), str(tmp_path / "first"))
    shutil.rmtree(StudyFolder(study).examples)
    page = Path(publish_study(str(study), str(tmp_path / "first")))
    assert "Labels that may be wrong" not in page.read_text()
    assert "Labels that may be wrong" not in write_report(page.parent).html.read_text()


def test_the_report_of_a_published_study_names_the_files_that_are_there(
    with_evidence: Write, tmp_path: Path
) -> None:
    page = Path(publish_study(str(with_evidence()), str(tmp_path / "first")))
    assert "The whole ranking: suspects.parquet." in write_report(page.parent).html.read_text()


def test_what_is_published_again_keeps_its_ranking(with_evidence: Write, tmp_path: Path) -> None:
    first = Path(publish_study(str(with_evidence()), str(tmp_path / "first")))
    page, ranking = first.read_text(), (tmp_path / "first" / "suspects.parquet").read_bytes()
    assert "How well rankings find the labels known to be wrong" in page
    assert Path(publish_study(str(first.parent), str(first.parent))).read_text() == page
    copy = Path(publish_study(str(first.parent), str(tmp_path / "copy")))
    assert copy.read_text() == page
    assert (tmp_path / "copy" / "suspects.parquet").read_bytes() == ranking
    assert "How well rankings find" in write_report(first.parent).html.read_text()


def test_a_damaged_summary_of_a_ranking_is_a_warning(with_evidence: Write, tmp_path: Path) -> None:
    first = Path(publish_study(str(with_evidence()), str(tmp_path)))
    (tmp_path / "suspects.json").write_text("{}")
    assert "No labels are ranked: summary of suspect labels" in write_report(first.parent).html.read_text()


@pytest.mark.parametrize("emptied", ["precision", "means"])
def test_a_summary_without_some_numbers_is_shown_without_them(
    with_evidence: Write, tmp_path: Path, emptied: str
) -> None:
    page = Path(publish_study(str(with_evidence()), str(tmp_path)))
    summary = json.loads((tmp_path / "suspects.json").read_text())
    if emptied == "precision":
        summary["judged"][0]["quality"]["precision"] = {}
    else:
        summary["top"][0]["means"] = {}
    (tmp_path / "suspects.json").write_text(json.dumps(summary))
    assert "Labels that may be wrong" in write_report(page.parent).html.read_text()


def test_a_study_without_evidence_has_no_section(with_evidence: Write) -> None:
    study = with_evidence(methods=())
    assert "may be wrong" not in write_report(study).html.read_text()
    assert not (study / "report" / "suspects.csv").exists()


def test_damaged_evidence_is_a_warning_of_the_report(with_evidence: Write) -> None:
    study = with_evidence()
    file = next(StudyFolder(study).examples.glob("*.parquet"))
    file.write_bytes(b"no table")
    page = write_report(study).html.read_text()
    assert "No labels are ranked: evidence on labels" in page
    assert "Labels that may be wrong" not in page
