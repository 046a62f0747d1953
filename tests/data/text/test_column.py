"""Texts of a table: read, refused, and tokenised by what the train pool holds."""

import pyarrow as pa
import pytest
import torch

from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data import load_source, make_splits
from l2rw_ray.data.text.texts import Texts
from l2rw_ray.errors import DataError, InputError

WORDS = [f"word{number} common text" for number in range(60)]
LABELS = [0, 1, 2] * 20


def data(train: object, **fields) -> ParquetData:
    return ParquetData(source="parquet", train=str(train), text="text", **fields)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_columns_of_every_kind_of_text(text_table, kind: pa.DataType) -> None:
    values = pa.array(["ä", "b", "ä"], pa.string()).cast(kind)
    source = load_source(data(text_table({"text": values, "label": [0, 1, 0]})))
    assert isinstance(source.inputs, Texts)
    assert source.inputs.take(torch.arange(3)) == ["ä", "b", "ä"]


def test_rows_without_text_are_bad(text_table) -> None:
    path = text_table({"text": ["a", None, ""], "label": [0, 1, 0]})
    with pytest.raises(DataError) as caught:
        load_source(data(path))
    remedy = "fill it in, drop the row, or set trial.data.bad_rows to skip"
    assert str(caught.value) == f"trial.data.text = 'text': no readable text in row 1 of {path}; {remedy}"
    source = load_source(data(path, bad_rows="skip"))
    assert source.inputs.take(torch.arange(2)) == ["a", ""]
    assert source.skipped_rows == 1


def test_a_column_of_numbers_is_refused(text_table) -> None:
    with pytest.raises(DataError, match="the column is of type int64; name a column of texts"):
        load_source(data(text_table({"text": [1, 2], "label": [0, 1]})))


def test_the_tokenizer_knows_the_train_pool_and_nothing_else(text_table) -> None:
    config = data(
        text_table({"text": WORDS, "label": LABELS}), validation_size=9, tokenizer={"min_frequency": 1}
    )
    source = load_source(config)
    splits = make_splits(source, config, seed=0)
    known = {}
    for name in ("train", "meta", "validation", "test"):
        examples = getattr(splits, name)
        x, _ = examples.take(torch.arange(len(examples)))
        assert x["input_ids"].shape == (len(examples), 3)
        known[name] = (x["input_ids"][:, 0] != 1).float().mean().item()
    assert known == {"train": 1, "meta": 0, "validation": 0, "test": 0}
    assert splits.train.input_sizes == splits.test.input_sizes == {"vocab_size": 2 + 2 + len(splits.train)}
    assert make_splits(source, config, seed=1).train.encoder != splits.train.encoder


def test_a_test_table_is_tokenised_alike(text_table) -> None:
    train = text_table({"text": WORDS, "label": LABELS})
    test = text_table({"text": ["text common more", "common"], "label": [0, 2]}, "test.parquet")
    splits = make_splits(load_source(c := data(train, test=str(test))), c, seed=0)
    own, _ = splits.train.take(torch.tensor([0]))
    x, y = splits.test.take(torch.arange(2))
    common, text = own["input_ids"][0, 1:].tolist()
    assert x["input_ids"].tolist() == [[text, common, 1], [common, 0, 0]]
    assert y.tolist() == [0, 2]


def test_what_was_read_is_not_read_again(text_table, monkeypatch) -> None:
    config = data(text_table({"text": ["a", None, "c"], "label": [0, 1, 0]}), bad_rows="skip")
    load_source(config)
    monkeypatch.setattr("l2rw_ray.data.text.column.utf8_values", None)
    source = load_source(config)
    assert list(source.inputs) == ["a", "c"]
    assert source.skipped_rows == 1


def test_what_was_tokenised_is_not_tokenised_again(text_table, monkeypatch) -> None:
    config = data(text_table({"text": WORDS, "label": LABELS}))
    first = make_splits(load_source(config), config, seed=0)
    for name in ("encoding.train_tokenizer", "encoder.TextEncoder.packed"):
        monkeypatch.setattr(f"l2rw_ray.data.text.{name}", None)
    again = make_splits(load_source(config), config, seed=0)
    assert torch.equal(again.train.inputs.ids, first.train.inputs.ids)
    with pytest.raises(TypeError):
        make_splits(load_source(config), config, seed=1)


def test_texts_have_targets_and_groups_too(text_table) -> None:
    path = text_table(
        {"text": WORDS, "y": [float(n) for n in range(60)], "g": [f"g{n // 2}" for n in range(60)]}
    )
    config = data(path, target="y", target_below=50.0, group="g", meta_per_class=1)
    splits = make_splits(load_source(config), config, seed=0)
    assert splits.is_regression
    assert splits.left_out == 10
    assert splits.train.take(torch.arange(2))[0]["input_ids"].shape == (2, 3)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"image": "image"}, "image = 'image': texts are named too; set one of the two to null"),
        ({"features": ["a"]}, "features = ['a']: texts are named too; set one of the two to null"),
        ({"augment": ["flip"]}, "augment = ['flip']: texts are no images; leave it out"),
        ({"label": "text"}, "text = 'text': it is the label; name another column"),
        (
            {"text": None, "max_length": 9},
            "max_length = 9: no column of texts is named; set text, or drop max_length",
        ),
        (
            {"tokenizer": {"file": "a.json", "kind": "bpe"}},
            "tokenizer.kind = 'bpe': a file is named, which has its own; drop it",
        ),
        (
            {"tokenizer": {"kind": "bpe", "vocabulary_size": 9}},
            "tokenizer.vocabulary_size = 9: 256 bytes and 2 special tokens are in it anyway; use 258 or more",
        ),
        ({"missing": "mean"}, "missing = 'mean': texts are never missing in part; leave it out"),
        (
            {"stream": {}, "source": "csv"},
            "a CSV file is parsed as a whole; leave it out, or use source parquet",
        ),
    ],
)
def test_what_does_not_go_with_texts_is_refused(study_tree, fields, line) -> None:
    from l2rw_ray.config import parse_study

    study_tree["trial"]["data"] = {"source": "parquet", "train": "t", "text": "text", **fields}
    study_tree["trial"]["model"] = {"name": "embedding_bag"}
    with pytest.raises(InputError) as caught:
        parse_study(study_tree)
    assert line in str(caught.value)
