"""The ranking of labels as CSV and Parquet, to take away."""

from pathlib import Path
from typing import Any

from l2rw_ray.report.document.csv_text import csv_text
from l2rw_ray.report.suspects.suspect_list import Suspect, SuspectList
from l2rw_ray.results.examples import EVIDENCE
from l2rw_ray.results.plain_files import check_plain
from l2rw_ray.results.suspects import write_suspects

_CSV_FILE, RANKING_FILE = "suspects.csv", "suspects.parquet"
_HEADER = (
    *("rank", "id", "given", "preferred", "is_contradicted", "given_probability", "preferred_probability"),
    *(f"mean_{name}" for name in EVIDENCE),
    *("trained_models", "out_of_sample_models", "is_wrong", "text"),
)


def suspects_csv(suspects: SuspectList) -> str:
    """Return a row per label, the most suspect first, as CSV."""
    return csv_text(_HEADER, (_row(suspect) for suspect in suspects.suspects()))


def write_rankings(suspects: SuspectList, folder: Path) -> tuple[Path, Path]:
    """Write the ranking as CSV and as Parquet, which has thumbnails too. Returns the files.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    csv_file, parquet_file = folder / _CSV_FILE, folder / RANKING_FILE
    check_plain(csv_file).write_text(suspects_csv(suspects), encoding="utf-8")
    columns: dict[str, list[Any]] = {name: [] for name in (*_HEADER, "image")}
    for suspect in suspects.suspects():
        for name, value in zip(columns, (*_row(suspect), suspect.image), strict=True):
            columns[name].append(value)
    write_suspects(parquet_file, columns)
    return csv_file, parquet_file


def _row(suspect: Suspect) -> tuple[Any, ...]:
    return (
        suspect.rank,
        suspect.id,
        suspect.given,
        suspect.preferred,
        suspect.is_contradicted,
        suspect.given_probability,
        suspect.preferred_probability,
        *(suspect.means[name] for name in EVIDENCE),
        suspect.trained,
        suspect.out_of_sample,
        suspect.is_wrong,
        suspect.text,
    )
