"""Publish a study: its plan, its ledger as one file, and its report, in a folder beside this one.

    python reports/publish.py results/demo reports/demo

Folders of the machine are left out of the tracebacks of failed trials; nothing else is changed.
"""

import re
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from l2rw_ray.report import write_report
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.schema import SCHEMA

_MACHINE_FOLDERS = re.compile(r'(?<=File ")/[^"]*?(?=(?:l2rw_ray|site-packages|python3\.\d+)/)')


def publish(study: Path, published: Path) -> Path:
    """Copy what belongs to a published study, and write its report.

    Args:
        study: The study folder.
        published: Where to; what is there of an earlier run is replaced, `notes.md` stays.

    Returns:
        The report's page.
    """
    source, target = StudyFolder(study), StudyFolder(published)
    published.mkdir(parents=True, exist_ok=True)
    for name in ("study.yaml", "plan.json", "importances.json", "notes.md"):
        if (study / name).is_file():
            shutil.copy(study / name, published / name)
    rows = [
        row for path in sorted(source.trials.glob("*.parquet")) for row in pq.read_table(path).to_pylist()
    ]
    for row in rows:
        if row["traceback"]:
            row["traceback"] = _MACHINE_FOLDERS.sub("", row["traceback"])
    shutil.rmtree(target.trials, ignore_errors=True)
    target.trials.mkdir()
    pq.write_table(
        pa.Table.from_pylist(rows, schema=SCHEMA), target.trials / "all.parquet", compression="zstd"
    )
    return write_report(published, published).html


if __name__ == "__main__":
    print(publish(Path(sys.argv[1]), Path(sys.argv[2])))
