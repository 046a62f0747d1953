"""Tables whose store does not answer: an outage of the infrastructure, not a mistake in the data."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import LocalFileSystem

from l2rw_ray import retries as outages
from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data import RowPart, load_source
from l2rw_ray.data.images.reader import ImageReader
from l2rw_ray.data.tables.row_groups import RowGroup
from l2rw_ray.errors import InputError, OutOfReachError

OUTAGE = OSError(
    "When reading information: AWS Error NETWORK_CONNECTION during HeadObject operation: no route"
)


@pytest.fixture
def part(tmp_path, encode) -> RowPart:
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"image": [encode(np.zeros((4, 4), np.uint8))] * 3}), path)
    group = RowGroup(str(path), 0, 0, 0, 3)
    return RowPart(LocalFileSystem(), ImageReader("image", (1, 4, 4)), group, np.arange(3, dtype=np.int32))


@pytest.fixture
def outage(monkeypatch):
    """How many calls an outage lasts, to be set."""
    left = [0]
    real = pq.ParquetFile

    def open_file(*arguments, **options):
        if left[0]:
            left[0] -= 1
            raise OUTAGE
        return real(*arguments, **options)

    monkeypatch.setattr(pq, "ParquetFile", open_file)
    monkeypatch.setattr(outages.time, "sleep", lambda pause_s: None)
    return left


def test_a_part_is_read_once_its_store_answers_again(part, outage):
    outage[0] = 3
    assert sum(map(len, part.read())) == 3


def test_a_store_that_stays_away_is_no_fault_of_the_data(part, outage):
    outage[0] = 100
    with pytest.raises(
        OutOfReachError, match=r"train\.parquet is out of reach \(When reading .*NETWORK"
    ) as told:
        list(part.read())
    assert not isinstance(told.value, InputError)


@pytest.mark.parametrize("call", ["find_files", "pq.read_metadata"])
def test_a_source_whose_store_is_away_is_no_wrong_path(tmp_path, monkeypatch, call):
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"x": [1.0, 2.0], "label": [0, 1]}), path)

    def refuse(*arguments, **options):
        raise OUTAGE

    place = (
        "l2rw_ray.data.tables.table.find_files" if call == "find_files" else "pyarrow.parquet.read_metadata"
    )
    monkeypatch.setattr(place, refuse)
    with pytest.raises(OutOfReachError, match=r"train\.parquet is out of reach .*then try again"):
        load_source(ParquetData(source="parquet", train=str(path), features=("x",)))
