"""A published study: the few files of a study folder that readers want, its ledger one of them."""

import re
import shutil
from contextlib import nullcontext
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.results.atomic import atomic_path
from l2rw_ray.results.folder import StudyFolder, unwritable
from l2rw_ray.results.schema import SCHEMA
from l2rw_ray.results.trial_files import read_rows

_ALL_TRIALS = "all.parquet"
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
    in_place = out.resolve() == folder.path.resolve()
    with folder.lock() if in_place else nullcontext():
        rows = _without_machine_folders(read_rows(folder, SCHEMA))
        try:
            packed.trials.mkdir(parents=True, exist_ok=True)
            for file in () if in_place else _copied(folder):
                shutil.copyfile(file, out / file.name)
            with atomic_path(packed.trials / _ALL_TRIALS) as temporary:
                pq.write_table(rows, temporary, compression="zstd", write_page_checksum=True)
            for trial_id in rows["trial_id"].to_pylist():
                packed.trial_file(trial_id).unlink(missing_ok=True)
        except OSError as error:
            raise StudyFolderError("published study", out, *unwritable(error)) from error
    return packed


def _copied(folder: StudyFolder) -> list[Path]:
    files = (folder.study_file, folder.plan_file, folder.importances, folder.notes)
    return [file for file in files if file.is_file()]


def _without_machine_folders(rows: pa.Table) -> pa.Table:
    texts = [text and _MACHINE_FOLDERS.sub("", text) for text in rows["traceback"].to_pylist()]
    place = rows.schema.get_field_index("traceback")
    return rows.set_column(place, SCHEMA.field("traceback"), pa.array(texts, pa.string()))
