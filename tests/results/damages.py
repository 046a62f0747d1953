"""Ways in which a file of the ledger comes to hold no record of its trial."""

import os
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from l2rw_ray.events import TrialEnded, TrialStatus


def end(writer, trial_id):
    figures = {"test_balanced_accuracy": 0.5, "validation_balanced_accuracy": 0.5}
    writer(TrialEnded(trial_id, TrialStatus.COMPLETED, 3, 30, 4.5, figures))


def retyped(path):
    table = pq.read_table(path)
    place = table.schema.get_field_index("duration_s")
    pq.write_table(table.set_column(place, "duration_s", pa.array(["long"])), path)


def flipped(path):
    """One bit of the record itself, the first column of which is the trial's id."""
    content = bytearray(path.read_bytes())
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    content[chunk.dictionary_page_offset + chunk.total_compressed_size - 3] ^= 1
    path.write_bytes(content)


def undated(path, kind=None):
    """Write a start that lies beyond the year 9999."""
    table = pq.read_table(path)
    place = table.schema.get_field_index("started_at")
    starts = pa.array([2**62] * len(table)).cast(kind or table.schema.field(place).type)
    pq.write_table(table.set_column(place, "started_at", starts), path)


DAMAGES = {
    "cut short": lambda path: os.truncate(path, 100),
    "empty": lambda path: os.truncate(path, 0),
    "garbage": lambda path: path.write_bytes(os.urandom(5000)),
    "one bit": flipped,
    "another type": retyped,
    "no date": undated,
    "a number that is no date": partial(undated, kind=pa.int64()),
    "no record": lambda path: pq.write_table(pq.read_table(path).slice(0, 0), path),
    "another table": lambda path: pq.write_table(pa.table({"x": [1]}), path),
}
