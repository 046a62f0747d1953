import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from l2rw_ray.config.data.sources import DigitsData
from l2rw_ray.data import load_source
from l2rw_ray.data.source import SOURCES
from l2rw_ray.errors import DataError


def test_a_second_loader_of_the_same_name_is_refused() -> None:
    with pytest.raises(ValueError, match="'digits' is registered twice"):
        SOURCES.register("digits")(load_source)


def test_digits_are_rescaled_to_bytes() -> None:
    from sklearn.datasets import load_digits

    source = load_source(DigitsData(source="digits"))
    original = load_digits()
    assert source.inputs.dtype == torch.uint8
    assert source.inputs.shape == (1797, 1, 8, 8)
    assert torch.equal(source.inputs[:, 0].double(), (torch.from_numpy(original.images) * 255 / 16).round())
    assert source.labels.dtype == torch.int64
    assert source.labels.tolist() == original.target.tolist()
    assert source.class_names == tuple("0123456789")
    assert source.test_inputs is None
    assert source.test_labels is None


def test_digits_that_are_cached_need_no_scikit_learn() -> None:
    """Importing it takes a second in every process of a run."""
    code = (
        "import sys; from l2rw_ray.config.data.sources import DigitsData; "
        "from l2rw_ray.data import load_source; "
        "load_source(DigitsData(source='digits')); print('sklearn' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2)]
    assert done[-1].stdout == "False\n", "the first one fills the cache"


def test_a_class_is_found_by_name_and_by_index(make_source) -> None:
    source = make_source(1, 1, 1)
    assert source.class_index("class2") == source.class_index(2) == 2


@pytest.mark.parametrize("given", ["class3", 3, -1])
def test_an_unknown_class_is_refused_with_those_that_exist(make_source, given) -> None:
    with pytest.raises(DataError, match="no class of this source; use one of class0, class1, class2"):
        make_source(1, 1, 1).class_index(given)


def test_classes_left_out_keep_their_rows_but_have_no_label(make_source) -> None:
    source = make_source(2, 3, 4, test_counts=(1, 1, 1))
    part = source.only([0, 2])
    assert part.class_names == ("class0", "class2")
    for whole, labels in ((source.labels, part.labels), (source.test_labels, part.test_labels)):
        assert labels.tolist() == [{0: 0, 1: -1, 2: 1}[label] for label in whole.tolist()]
    assert part.inputs is source.inputs
    assert part.class_index(2) == part.class_index("class2") == 1
    for given in (1, "class1"):
        with pytest.raises(DataError, match=r"trial\.data\.noise\.class = .*; use one of class0, class2"):
            part.class_index(given, "trial.data.noise.class")


def test_a_number_that_is_a_name_and_an_index_is_refused(make_source) -> None:
    source = replace(make_source(1, 1, 1), class_names=("1", "2", "10"))
    assert source.class_index("2") == 1
    assert source.class_index(10) == 2, "no index, so a name"
    assert source.class_index(0) == 0, "no name, so an index"
    with pytest.raises(
        DataError, match=r"class = 2: there is a class of this name, .* index is '10'; write a"
    ):
        source.class_index(2)
