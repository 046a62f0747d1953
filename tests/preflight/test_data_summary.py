"""Counts of the four sets by class, before and after the protocol."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from l2rw_ray.config import parse_study
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.preflight.data_summary import SETS, DataSummary, summarise_data
from tests.training import texts


def _summaries(tree: dict) -> list[DataSummary]:
    return list(summarise_data(plan_study(parse_study(tree))))


def test_one_section_has_one_summary(study_tree: dict) -> None:
    (summary,) = _summaries(study_tree)
    assert summary.levels == {}
    assert (summary.source.name, summary.source.examples, summary.source.form) == (
        *("digits", 1797, "images of 8×8×1"),
    )
    assert tuple(summary.sets) == SETS
    sizes = {name: (sum(own.before), sum(own.after), own.corrupted) for name, own in summary.sets.items()}
    assert sizes == {
        "train": (60, 60, 0.3),
        "meta": (20, 20, 0.0),
        "validation": (40, 40, 0.0),
        "test": (60, 60, 0.0),
    }
    assert summary.sets["meta"].after == (2,) * 10
    assert summary.sets["train"].before != summary.sets["train"].after


def test_levels_of_data_factors_share_their_source(study_tree: dict) -> None:
    study_tree["trial"]["data"]["noise"]["rate"] = 0.0
    bias = {"kind": "dominant_class", "level": 0.5, "class": 3}
    study_tree["design"]["factors"] = {"data.bias": [{"kind": "none"}, bias], "method.name": ["uniform"]}
    plain, biased = _summaries(study_tree)
    assert plain.levels == {"data.bias.kind": "none"}
    assert biased.levels["data.bias.level"] == 0.5
    assert plain.source is biased.source
    assert plain.sets["train"].before == plain.sets["train"].after == biased.sets["train"].before
    assert biased.sets["train"].after[3] == 30


def test_samples_are_of_their_class_and_vectors_have_none(study_tree: dict) -> None:
    from sklearn.datasets import load_digits

    samples = _summaries(study_tree)[0].source.samples
    assert [len(images) for images in samples] == [3] * 10
    digits = load_digits()
    for label, images in enumerate(samples):
        own = (digits.images[digits.target == label] * 255 / 16).round()
        for image in images:
            assert image.shape == (8, 8, 1)
            assert (own == image[..., 0]).all(axis=(1, 2)).any()
    study_tree["trial"]["data"] |= {"source": "synthetic"}
    source = _summaries(study_tree)[0].source
    assert source.samples is None
    assert source.form == "vectors of 2"
    assert 0.0 < source.difficulty < 0.2
    assert not np.isnan(source.difficulty)


def test_classes_that_a_bias_leaves_out_are_counted_under_their_own_names(study_tree: dict) -> None:
    bias = {"kind": "two_class", "majority": 9, "minority": 4, "ratio": 5}
    study_tree["trial"]["data"] |= {"bias": bias, "noise": {"kind": "none"}, "meta_noise": {"kind": "none"}}
    (summary,) = _summaries(study_tree)
    assert summary.sets["train"].after == (0, 0, 0, 0, 10, 0, 0, 0, 0, 50)
    assert summary.sets["train"].before == summary.sets["train"].after


def test_the_form_of_a_tree_names_its_tensors(study_tree: dict) -> None:
    study_tree["trial"]["data"] |= {"source": texts.SOURCE, "meta_per_class": 5}
    study_tree["trial"]["model"] = {"name": texts.MODEL}
    source = _summaries(study_tree)[0].source
    assert source.form == "examples of input_ids int64 [8], attention_mask bool [8]"
    assert (source.examples, source.samples) == (300, None)


def test_texts_are_shown_and_their_tokens_counted(study_tree: dict, tmp_path: Path) -> None:
    rows = [f"again and again w{number}" for number in range(60)]
    rows[0] = "a text of six words here"
    pq.write_table(pa.table({"text": rows, "label": [0, 1, 2] * 20}), tmp_path / "t.parquet")
    sizes = {"train_size": 30, "meta_per_class": 2, "validation_size": 6, "max_length": 5}
    study_tree["trial"]["data"] = {"source": "parquet", "train": str(tmp_path / "t.parquet"), "text": "text"}
    study_tree["trial"]["data"] |= sizes
    study_tree["trial"]["model"] = {"name": "embedding_bag"}
    (summary,) = _summaries(study_tree)
    source, tokens = summary.source, summary.tokens
    assert (source.form, source.samples) == ("texts", None)
    assert [len(own) for own in source.texts] == [3, 3, 3]
    assert source.texts[1][0] in rows[1::3]
    assert tokens is not None
    assert (tokens.vocab_size, tokens.is_trained, tokens.max_length) == (4, True, 5)
    assert (tokens.median, tokens.high) == (4, 4)
    assert set(tokens.cut) == set(tokens.unknown) == set(SETS)
    assert tokens.unknown["meta"] == 0.25
    assert sum(tokens.cut.values()) <= 1 / 6
