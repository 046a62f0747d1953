"""A published study: the few files of a study folder that readers want, its ledger one of them."""

import re
import shutil
from contextlib import nullcontext, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.results.atomic import atomic_path
from l2rw_ray.results.folder import StudyFolder, unwritable
from l2rw_ray.results.plain_files import check_plain
from l2rw_ray.results.schema import SCHEMA
from l2rw_ray.results.trial_files import DamagedFileError, read_rows, read_trial_file, trial_files

_ALL_TRIALS = "all.parquet"
_TRIAL_ID = pa.schema([SCHEMA.field("trial_id")])
_MACHINE_FOLDERS = re.compile(r'(?<=File ")/[^"]*?(?=(?:l2rw_ray|site-packages|python3\.\d+)/)')


def pack_study(folder: StudyFolder, out: Path) -> StudyFolder:
    """Copy the specification, the plan, the notes and the ledger of a study, all trials in one file.

    The copy is a study folder like any other. Tracebacks of failed trials are copied without this
    machine's folders, nothing else is changed.

    Args:
        folder: The study folder.
        out: Folder to write to. Files of an earlier copy are replaced, other files stay. The study folder
            itself is packed in place.

    Raises:
        StudyFolderError: The folder holds no study, a trial's file may not be read, `out` cannot be
            written, or it is the study folder and a run is using it.
    """
    folder.require()
    packed = StudyFolder(out)
    packed.check_not_a_file()
    check_plain(packed.trials)
    in_place = out.resolve() == folder.path.resolve()
    with folder.lock() if in_place else nullcontext():
        rows = _without_machine_folders(read_rows(folder, SCHEMA))
        try:
            packed.trials.mkdir(parents=True, exist_ok=True)
            for file in () if in_place else _copied(folder):
                shutil.copyfile(file, check_plain(out / file.name))
            with atomic_path(packed.trials / _ALL_TRIALS) as temporary:
                pq.write_table(rows, temporary, compression="zstd", write_page_checksum=True)
            packed.remove_trial_files(_replaced(packed, rows))
        except OSError as error:
            raise StudyFolderError("published study", out, *unwritable(error)) from error
    return packed


def _replaced(packed: StudyFolder, rows: pa.Table) -> list[Path]:
    """Return files of trials that are in the packed file, which they would override; damaged ones stay."""
    recorded, found = set(rows["trial_id"].to_pylist()), []
    for path in trial_files(packed):
        with suppress(DamagedFileError):
            table = None if path.name == _ALL_TRIALS else read_trial_file(path, _TRIAL_ID)
            if table is not None and recorded.issuperset(table["trial_id"].to_pylist()):
                found.append(path)
    return found


def _copied(folder: StudyFolder) -> list[Path]:
    files = (folder.study_file, folder.plan_file, folder.plan_log, folder.importances, folder.notes)
    published = (folder.suspects, folder.suspects_summary)
    return [file for file in (*files, *published) if file.is_file()]


def _without_machine_folders(rows: pa.Table) -> pa.Table:
    texts = [text and _MACHINE_FOLDERS.sub("", text) for text in rows["traceback"].to_pylist()]
    place = rows.schema.get_field_index("traceback")
    return rows.set_column(place, SCHEMA.field("traceback"), pa.array(texts, pa.string()))
