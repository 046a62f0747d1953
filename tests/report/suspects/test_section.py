import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from l2rw_ray.cli.report import publish_study
from l2rw_ray.report import write_report
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
    assert "Models prefer another label for " in suspect_table(found).note
    targets = np.ones(len(found))
    evidence = replace(found.evidence, is_regression=True, target=targets, predicted=targets)
    note = suspect_table(replace(found, evidence=evidence)).note
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
    assert "suspects.parquet" in files
    assert not files & {"suspects.csv", "examples"}


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
