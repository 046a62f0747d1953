import base64
import csv
import hashlib
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report import summarise, write_report
from l2rw_ray.report.ablation.tables import accuracy_tables
from l2rw_ray.report.design_points.labels import HEADLINE, METRICS
from l2rw_ray.results import StudyFolder
from tests.report.conftest import FakeStudy, write_study

GOLDEN = Path(__file__).parent / "golden" / "report.md"
REGENERATE = "L2RW_REGENERATE_GOLDEN"  # set it to 1 and run this file to accept the present text


class Ids(HTMLParser):
    """Collects ids and whatever the page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "srcset") or (name == "href" and tag == "link"):
                self.fetched.append(value)


def test_the_markdown_is_the_golden_one(default_study):
    (default_study / "notes.md").write_text("# Reduced\n\nOnly 12 epochs,\non a *small* set.\n")
    text = write_report(default_study).markdown.read_text(encoding="utf-8")
    if os.environ.get(REGENERATE):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text, encoding="utf-8")
    assert _without_draws(text) == _without_draws(GOLDEN.read_text(encoding="utf-8"))


def _without_draws(text: str) -> str:
    """Leave out figures of a posterior: its draws differ between processors, and the last digit with them."""
    head, title, table = text.partition("| setting | difference | probability of being better |")
    rows, blank, rest = table.partition("\n\n")
    return head + title + re.sub(r"\| [^|]* \| [\d.]+ % \|", "| … |", rows) + blank + rest


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(FakeStudy(), tmp_path_factory.mktemp("studies"))


@pytest.fixture(scope="module")
def written(study, tmp_path_factory):
    return write_report(study, tmp_path_factory.mktemp("report"))


def test_the_page_needs_nothing_else(written):
    page = written.html.read_text(encoding="utf-8")
    found = Ids()
    found.feed(page)
    assert found.fetched == []
    assert len(found.ids) == len(set(found.ids))
    assert "<svg" in page
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    references = re.findall(r'(?:url\(|xlink:href=")#([^)"]+)', page)
    assert references
    assert set(references) <= set(found.ids)


def test_ink_follows_the_page_and_files_have_a_ground(written):
    paths = written
    assert "#1b1f24" not in re.sub(r"<style>.*?</style>", "", paths.html.read_text(), flags=re.DOTALL)
    for path in paths.plots:
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
            assert "fill: #ffffff" in path.read_text()
    formats = [
        {path.stem for path in paths.plots if path.suffix == each} for each in (".svg", ".pdf", ".png")
    ]
    assert formats[0] == formats[1] == formats[2]
    assert all(path.read_bytes()[:5] == b"%PDF-" for path in paths.plots if path.suffix == ".pdf")


def test_the_contents_link_to_every_section(written):
    page = written.html.read_text(encoding="utf-8")
    contents = re.search(r'<nav class="contents".*?</nav>', page, flags=re.DOTALL)[0]
    linked = re.findall(r'href="#([^"]+)"', contents)
    assert len(linked) > 5
    assert set(linked) <= set(re.findall(r'<section (?:class="\w+" )?id="([^"]+)"', page))
    assert "<details>" in contents, "folded, unless a script finds the window wide"


def test_arms_are_explained_beside_the_answer(written):
    answer = re.search(
        r'<section class="card answer".*?</section>', written.html.read_text(), flags=re.DOTALL
    )[0]
    assert re.findall(r"<dt>(.*?)</dt>", answer) == ["uniform", "random", "l2rw"]
    assert "plain training, in which every example counts the same" in answer


def damage(folder, trial_id, **values):
    """Change some columns of one trial's row."""
    path = folder.trial_file(trial_id)
    table = pq.read_table(path)
    for name, value in values.items():
        place = table.schema.get_field_index(name)
        kind = table.schema.field(name)
        table = table.set_column(place, kind, pa.array([value], kind.type))
    pq.write_table(table, path)


def test_only_the_pages_own_script_may_run(written):
    page = written.html.read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page
    )
    assert not re.search(r"https?://(?!www\.w3\.org)", page), "nothing to load from elsewhere"


def test_markup_in_texts_is_shown_not_obeyed(fake_study, plain):
    nasty = "<script>alert(1)</script> & $x_1^{$ | *b*"
    factors = {"method.name": ["uniform", nasty]}
    path = fake_study(replace(plain, question=nasty, factors=factors, failing=4))
    (path / "notes.md").write_text(nasty)
    damage(StudyFolder(path), "0101" * 4, error=f"Error: {nasty}", reason=nasty)
    damage(StudyFolder(path), "0000" * 4, warnings=[f"{nasty}: {nasty}"], hardware=nasty, commit=nasty)
    paths = write_report(path)
    page = paths.html.read_text()
    assert page.count("<script") == page.count("</script") == 1, "the one that sorts tables"
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in paths.markdown.read_text()
    assert r"\| \*b\*" in paths.markdown.read_text()


def test_csv_table_and_summary_agree(study, written):
    paths, summary = written, summarise(study)
    rows = list(csv.DictReader(paths.csv.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == len(summary.points) == 9
    page, table = paths.html.read_text(encoding="utf-8"), accuracy_tables(summary)[0]
    for row, point in zip(rows, summary.points, strict=True):
        interval = point.intervals[HEADLINE]
        assert float(row[f"{HEADLINE}_mean"]) == interval.mean
        assert float(row[f"{HEADLINE}_low"]) == interval.low
        assert int(row[f"{HEADLINE}_n"]) == interval.n
        shown = METRICS[HEADLINE].text(interval.mean)
        cells = table.rows[summary.settings.index(point.setting)].cells
        assert cells[summary.methods.index(point.method)].text == shown
        assert shown in page


def test_ratios_from_a_shared_gpu_are_unusable(fake_study, plain):
    paths = write_report(fake_study(replace(plain, gpus_per_worker=0.5)))
    assert "unusable (GPU shared)" in paths.markdown.read_text()
    assert "no usable step times" in paths.html.read_text()
    assert next(csv.DictReader(paths.csv.read_text().splitlines()))["timing_usable"] == "False"


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": 1, "failing": None},
        {"factors": {"method.name": ["uniform", "l2rw"]}, "failing": None},
        {"factors": {"data.meta_per_class": [1, 5]}, "failing": None},
        {"missing": [number for number in range(27) if number != 4]},
        {"factors": {"data.bias.level": [0.1 * n for n in range(1, 9)]}, "failing": None, "seeds": 2},
    ],
)
def test_every_shape_of_study_has_a_report(fake_study, plain, change):
    paths = write_report(fake_study(replace(plain, **change)))
    assert all(path.stat().st_size > 30 for path in (paths.html, paths.markdown, paths.csv, *paths.plots))


def test_writing_elsewhere_and_again_gives_the_same_bytes_and_leaves_matplotlibs_settings_alone(
    study, written, tmp_path
):
    before = dict(mpl.rcParams)
    again = write_report(study, tmp_path)
    assert dict(mpl.rcParams) == before
    for one, other in zip((written.html, *written.plots), (again.html, *again.plots), strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert not StudyFolder(study).report.exists()


def test_an_unusable_output_folder_is_refused(default_study, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(StudyFolderError, match="choose another --out"):
        write_report(default_study, tmp_path / "taken")


def test_a_page_shows_the_first_rows_of_a_long_table_and_csv_files_have_all(default_study, monkeypatch):
    monkeypatch.setattr("l2rw_ray.report.document.table.MAX_ROWS", 2)
    paths = write_report(default_study)
    page, text = paths.html.read_text(encoding="utf-8"), paths.markdown.read_text(encoding="utf-8")
    assert max(body.count("<tr>") for body in re.findall(r"<tbody>.*?</tbody>", page, re.DOTALL)) == 2
    rows = len((paths.html.parent / "results.csv").read_text(encoding="utf-8").splitlines()) - 1
    assert rows > 2
    for written in (page, text):
        assert re.search(r"The first 2 of \d+ rows are shown; the CSV files have all of them\.", written)
