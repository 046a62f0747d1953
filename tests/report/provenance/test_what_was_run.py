"""What the report says was run."""

import pytest

from l2rw_ray.report.provenance.what_was_run import _optimiser


@pytest.mark.parametrize(
    ("decays", "shown"),
    [
        ((0.0, 0.0), "sgd, learning rate 0.1"),
        ((0.0, 0.5), "sgd, learning rate 0.1, weight decay 0 / 0.5"),
        ((0.0, 0.1, 0.2, 0.3, 0.5), "sgd, learning rate 0.1, weight decay 0 to 0.5"),
    ],
)
def test_zero_is_a_value_of_an_option_that_varies(decays: tuple[float, ...], shown: str) -> None:
    sections = [{"name": "sgd", "lr": 0.1, "momentum": 0.0, "weight_decay": decay} for decay in decays]
    assert _optimiser([{"optim": section} for section in sections]) == shown
