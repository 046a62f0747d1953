import pytest
import torch

import l2rw_ray.data
from l2rw_ray.data import rng_for


def draw(*key) -> list[int]:
    return torch.randint(0, 1000, (6,), generator=rng_for(*key)).tolist()


def test_the_same_key_gives_the_same_draws() -> None:
    assert draw(3, "split") == draw(3, "split")


def test_draws_do_not_change_between_versions() -> None:
    assert draw(0, "order", 2) == [335, 648, 854, 42, 220, 820]


def test_seed_purpose_and_counters_each_make_another_stream() -> None:
    keys = [(0, "split"), (1, "split"), (0, "bias"), (0, "split", 0), (0, "split", 1), (0, "split", 0, 1)]
    assert len({tuple(draw(*key)) for key in keys}) == len(keys)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    draw(0, "noise")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_former_name_gives_the_generator_and_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match=r"stream is now l2rw_ray\.data\.rng_for$"):
        assert l2rw_ray.data.stream is rng_for
