"""HAM10000 as it is published: JPEG files beside a table of what they show."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from l2rw_ray.config.data.sources import Ham10000Data
from l2rw_ray.data.images.files import ImageFiles
from l2rw_ray.data.source import SOURCES, Source
from l2rw_ray.data.tables.bad_rows import BadRows
from l2rw_ray.errors import DataError

if TYPE_CHECKING:
    from l2rw_ray.data.tables.table import Table

METADATA = "HAM10000_metadata.csv"
_PLACES = (".", "HAM10000_images", "HAM10000_images_part_1", "HAM10000_images_part_2")
CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
_FIELD, _COLUMN = "trial.data.root", "column"


@SOURCES.register("ham10000")
def load_ham10000(config: Ham10000Data) -> Source:
    """Load 10,015 dermatoscopic images of 7,470 lesions, uint8 [N, 3, H, W], in the order of the metadata.

    Classes are the diagnoses `dx`, sorted; examples of one `lesion_id` are one group.

    Source: Tschandl, Rosendahl & Kittler 2018, doi:10.7910/DVN/DBW86T.

    Raises:
        DataError: The metadata or an image is missing or cannot be used. The message names file and row.
    """
    table = open_metadata(config)
    bad = BadRows(table.rows, skip=config.bad_rows == "skip")
    columns = {name: table.labels(name, bad, _COLUMN) for name in ("dx", "lesion_id", "image_id")}
    bad.mark(
        ~np.isin(columns["dx"], CLASSES),
        lambda row: _error(
            "dx", f"{columns['dx'][row]} in {table.locate(row)} is none of {', '.join(CLASSES)}"
        ),
    )
    root = Path(config.root).expanduser().resolve()
    paths = find_images(root, columns["image_id"].tolist())
    bad.mark(
        np.array([path is None for path in paths]),
        lambda row: _error("image_id", f"{columns['image_id'][row]}.jpg of {table.locate(row)} is not there"),
    )
    files = ImageFiles(
        _FIELD,
        config.root,
        [path or root / "missing" for path in paths],
        config.image_size,
        lambda row: f"{paths[row]} (row {row} of {METADATA})",
    )
    images = files.load(bad)
    kept = bad.kept
    names, labels = np.unique(columns["dx"][kept], return_inverse=True)
    _, groups = np.unique(columns["lesion_id"][kept], return_inverse=True)
    return Source(
        images,
        torch.from_numpy(labels.astype(np.int64)),
        tuple(names.tolist()),
        groups=torch.from_numpy(groups.astype(np.int64)),
        skipped=bad.skipped,
    )


def open_metadata(config: Ham10000Data) -> "Table":
    """Open the table of what the images show.

    Raises:
        DataError: It is not there, or not readable.
    """
    from l2rw_ray.data.tables.csv_format import CsvFormat
    from l2rw_ray.data.tables.table import Table

    path = Path(config.root).expanduser() / METADATA
    if not path.is_file():
        problem = f"holds no {METADATA}"
        raise DataError(_FIELD, config.root, problem, f"to get it: {config.obtained}")
    return Table.open(_FIELD, str(path), CsvFormat())


def find_images(root: Path, names: Sequence[str]) -> list[Path | None]:
    """Find the file of each image; None where none of the folders has it.

    Args:
        root: Folder of the data set, or one that holds the folders it is published in.
        names: The images, without `.jpg`.
    """
    found: dict[str, Path] = {}
    for place in reversed(_PLACES):
        found |= {path.stem: path for path in (root / place).glob("*.jpg")}
    return [found.get(name) for name in names]


def _error(column: str, problem: str) -> DataError:
    return DataError(_COLUMN, column, problem, "fix it, drop the row, or set trial.data.bad_rows to skip")
