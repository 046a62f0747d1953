"""The corrected copy of a table: the right row, the right spelling, and nothing else."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data.sources.table_source import load_table
from l2rw_ray.data.splits.given_labels import learning_from
from l2rw_ray.data.tables.relabelled import write_relabelled
from l2rw_ray.errors import DataError

TEXT = "key,x,label\n007,1,cat\n008,2,cat\n009,3,dog\n010,4,dog\n"


def section(train: Path, **options: Any) -> ParquetData:
    source = "csv" if train.suffix == ".csv" or train.is_dir() else "parquet"
    fields = {"source": source, "label": "label", "features": ["x"], "meta_per_class": 1}
    return ParquetData.model_validate({**fields, "train": str(train), "validation_size": 1, **options})


def trained(config: ParquetData) -> dict[str, str]:
    """The class that each row trains with, by its identity, as a study keeps it."""
    source = learning_from(load_table(config), config)
    assert source.ids is not None
    rows = source.may_train.nonzero().flatten().tolist()
    return {source.ids[row]: source.class_names[source.given_labels[row]] for row in rows}


def relabelled(config: ParquetData, out: Path, suggested: dict[str, str]) -> tuple[int, str]:
    count = write_relabelled(config, trained(config), suggested, out)
    return count, out.read_text()


def test_an_id_is_read_as_the_study_read_it(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(TEXT)
    config = section(tmp_path / "train.csv", id="key")
    assert "8" in trained(config)
    found = relabelled(config, tmp_path / "fixed.csv", {"8": "dog"})
    assert found == (1, TEXT.replace("008,2,cat", "008,2,dog"))


def test_a_row_without_an_id_is_not_taken_for_row_zero(tmp_path: Path) -> None:
    text = TEXT.replace("007", "0").replace("010", "")
    (tmp_path / "train.csv").write_text(text)
    config = section(tmp_path / "train.csv", id="key", bad_rows="skip")
    found = relabelled(config, tmp_path / "fixed.csv", {"0": "dog"})
    assert found == (1, text.replace("0,1,cat", "0,1,dog"))


def test_rows_of_several_files_keep_their_places(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.csv").write_text("x,label\n1,cat\n,cat\n2,dog\n")
    (tmp_path / "train" / "b.csv").write_text("x,label\n3,cat\n4,dog\n")
    config = section(tmp_path / "train", bad_rows="skip")
    assert list(trained(config)) == ["a.csv:0", "a.csv:2", "b.csv:0", "b.csv:1"]
    count, text = relabelled(config, tmp_path / "fixed.csv", {"b.csv:0": "dog", "a.csv:2": "cat"})
    assert count == 2
    assert text.replace('"', "").splitlines()[1:] == ["1,cat", ",cat", "2,cat", "3,dog", "4,dog"]


def test_rows_of_the_trusted_table_are_not_in_the_copy(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(TEXT)
    (tmp_path / "trusted.csv").write_text(TEXT)
    config = section(tmp_path / "train.csv", trusted=str(tmp_path / "trusted.csv"), left_verified="verified")
    assert "trusted.csv:1" in trained(config)
    suggested = {"trusted.csv:1": "dog", "train.csv:0": "dog"}
    found = relabelled(config, tmp_path / "fixed.csv", suggested)
    assert found == (1, TEXT.replace("007,1,cat", "007,1,dog"))


@pytest.mark.parametrize("written", ["column", "verified"])
def test_rows_that_trained_with_a_verified_label_do_not_say_how_a_class_is_written(
    tmp_path: Path, written: str
) -> None:
    own = "cat" if written == "column" else "dog"
    text = "x,label,checked\n1,dog,cat\n2,dog,cat\n3,dog,cat\n4,dog,\n" + f"5,{own},\n"
    (tmp_path / "train.csv").write_text(text)
    config = section(tmp_path / "train.csv", verified_label="checked", left_verified="verified")
    found = relabelled(config, tmp_path / "fixed.csv", {"train.csv:3": "cat"})
    assert found == (1, text.replace("4,dog,", "4,cat,"))


def test_a_table_whose_rows_have_moved_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(TEXT)
    config = section(tmp_path / "train.csv")
    given = trained(config)
    (tmp_path / "train.csv").write_text(TEXT.replace("007", "000,0,dog\n007"))
    with pytest.raises(DataError, match=r"its label \w+ was both \w+ and \w+ in the study: it has changed;"):
        write_relabelled(config, given, {"train.csv:1": "dog"}, tmp_path / "fixed.csv")
    assert not (tmp_path / "fixed.csv").exists()


def test_what_no_csv_can_hold_is_one_line(tmp_path: Path) -> None:
    table = pa.table({"x": [1.0, 2.0], "label": ["cat", "dog"], "image": [b"\xff\xd8", b"\xff\xd8"]})
    pq.write_table(table, tmp_path / "train.parquet")
    config = section(tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r"CSV cannot hold all columns .*; end its name in \.parquet"):
        relabelled(config, tmp_path / "fixed.csv", {"train.parquet:0": "dog"})
    assert not (tmp_path / "fixed.csv").exists()
