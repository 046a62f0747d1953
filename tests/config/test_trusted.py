"""Options that say which labels are verified: defaults beside them, conflicts, and old fingerprints."""

import pytest
from pydantic import TypeAdapter

from l2rw_ray.config.data.sources import Data, ImageFolderData, ParquetData
from l2rw_ray.errors import ConfigError

TABLE = {"source": "csv", "train": "train.csv", "features": ["x"]}
FOLDER = {"source": "image_folder", "train": "photos/train"}


def test_without_them_every_label_counts_as_right() -> None:
    data = ParquetData(**TABLE)
    assert not data.knows_verified
    assert (data.meta_per_class, data.validation_size) == (5, 0)


@pytest.mark.parametrize(
    "option", [{"verified_label": "checked"}, {"trusted": "trusted.csv"}, {"meta": "meta.csv"}]
)
def test_each_of_them_says_that_the_other_labels_are_unverified(option) -> None:
    assert ParquetData(**TABLE, **option).knows_verified


def test_fixed_sets_alone_leave_the_labels_of_train_right() -> None:
    assert not ParquetData(**TABLE, validation="validation.csv", test="test.csv").knows_verified


def test_a_file_for_one_set_is_taken_whole_unless_a_size_is_given() -> None:
    data = ParquetData(**TABLE, meta="meta.csv", validation="validation.csv")
    assert (data.meta_per_class, data.validation_size) == (None, None)
    data = ParquetData(
        **TABLE, meta="meta.csv", validation="validation.csv", meta_per_class=3, validation_size=9
    )
    assert (data.meta_per_class, data.validation_size) == (3, 9)


def test_the_section_comes_back_from_its_own_text() -> None:
    data = ImageFolderData(**FOLDER, trusted="photos/trusted", validation="photos/validation")
    assert TypeAdapter(Data).validate_json(data.model_dump_json()) == data
    assert data.source_only().trusted == "photos/trusted"


def test_what_loading_needs_is_the_same_for_sets_of_any_size() -> None:
    options = {"verified_label": "checked", "validation_labels": "given"}
    sections = [ParquetData(**TABLE, **options, validation_size=size, meta_per_class=size) for size in (5, 6)]
    one, other = (section.source_only() for section in sections)
    assert one == other
    assert one.validation_labels == "given"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"meta_per_class": None}, "meta_per_class: null takes all of a file for the meta set"),
        ({"validation_size": None}, "validation_size: null takes all of a file for the validation set"),
        (
            {"validation": "validation.csv", "validation_size": 0},
            "validation_size: validation names validation.csv for it; give a number, null for all",
        ),
        (
            {"meta": "meta.csv", "meta_bias": {"kind": "long_tail", "imbalance_factor": 5}},
            "meta_per_class: meta_bias changes proportions, not the size; give a number",
        ),
        ({"trusted": "train.csv"}, "trusted: it is train, too; give each set rows of its own"),
        ({"trusted": "a.csv", "test": "a.csv"}, "test: it is trusted, too; give each set rows of its own"),
        ({"left_verified": "verified"}, "left_verified: nothing says which labels are verified"),
        (
            {"validation_labels": "given", "validation_size": 5},
            "validation_labels: nothing says which labels are verified, so that all count as right",
        ),
        (
            {"verified_label": "checked", "validation_labels": "given"},
            "validation_labels: validation_size is 0, for no validation set; give that a number",
        ),
        ({"verified_label": "label"}, "verified_label: it is the label; name the column of verified ones"),
        ({"verified_target": "price"}, "verified_target: there is no target; name both, or leave it out"),
        (
            {"target": "price", "verified_label": "checked"},
            "verified_label: there is no label; name both, or leave it out",
        ),
        ({"verified_label": "x"}, "features: the verified_label is no feature; leave it out"),
        ({"id": "x"}, "features: the id is no feature; leave it out"),
    ],
)
def test_what_does_not_go_together_is_named_with_a_remedy(given, complaint) -> None:
    with pytest.raises(ConfigError) as caught:
        ParquetData(**(TABLE | given))
    assert complaint in str(caught.value.__cause__)
