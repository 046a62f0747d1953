"""Sets that are larger than their source are refused before anything is loaded, where its size is known."""

from typing import Any

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.errors import ConfigError

SIZES = {"train_size": 1000, "validation_size": 100, "test_size": 100}


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"source": "cifar10", "train_size": 60_000},
            "train_size = 60000: the source has 50,000 examples, and",
        ),
        ({"source": "mnist", "train_size": 60_000}, "60,000 examples, and the sets need 60,105 or more"),
        (
            {"source": "cifar100", "test_size": 10_001},
            "data.test_size = 10001: the test file has 10,000 examp",
        ),
        (
            {"source": "digits", "validation_size": 1700},
            r"data.validation_size = 1700: .*1,797 .* lower it, or",
        ),
        (
            {"source": "ham10000", "test_size": 11_000},
            r"data.test_size = 11000: the source has 10,015 examples",
        ),
        ({"source": "synthetic", "size": 1200}, r"data.train_size = 1000: the source has 1,200 examples"),
    ],
)
def test_a_set_larger_than_its_source_is_refused(study_tree: dict, fields: dict[str, Any], line: str) -> None:
    study_tree["trial"] |= {"data": SIZES | fields, "model": {"name": "mlp"}}
    with pytest.raises(ConfigError, match=line):
        parse_study(study_tree)


@pytest.mark.parametrize("source", ["cifar10", "mnist", "digits", "ham10000", "synthetic"])
def test_what_fits_is_taken(study_tree: dict, source: str) -> None:
    study_tree["trial"] |= {"data": {"source": source, **SIZES}, "model": {"name": "mlp"}}
    parse_study(study_tree)
