"""Published studies hold what readers want, and everything in them can be read."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from l2rw_ray.results.status import count_statuses

REPORTS = Path(__file__).parents[2] / "reports"
STUDIES = sorted(file.parent for file in REPORTS.glob("*/study.yaml"))
FILES = {
    "study.yaml",
    "plan.json",
    "plan_log.jsonl",
    "importances.json",
    "notes.md",
    "report.html",
    "report.md",
    "page.png",
}
FILES |= {"suspects.parquet", "suspects.json"}  # where trials kept examples


def _links(page: Path) -> Iterator[str]:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"(?<!\\)\]\(([^)]+)\)|(?:href|src)=\"([^\"]+)\"", text):
        target = "".join(link)
        if not target.startswith(("#", "data:", "http")):
            yield target


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_published_study_is_a_few_files_of_finished_trials(study: Path) -> None:
    files = {path.relative_to(study).as_posix() for path in study.rglob("*") if path.is_file()}
    plots = {link for link in _links(study / "report.md") if link.startswith("figures/")}
    allowed = FILES | plots | {"trials/all.parquet"}
    assert {name for name in files if not name.startswith(".")} <= allowed
    assert count_statuses(study)["missing"] == 0


@pytest.mark.parametrize(
    "page", sorted(REPORTS.rglob("*.md")), ids=lambda page: str(page.relative_to(REPORTS))
)
def test_links_of_published_pages_lead_somewhere(page: Path) -> None:
    for each in (page, page.with_suffix(".html")):
        for link in _links(each) if each.is_file() else ():
            assert (page.parent / link.partition("#")[0]).exists(), f"{each}: {link}"


def test_there_are_published_studies() -> None:
    assert len(STUDIES) >= 13
