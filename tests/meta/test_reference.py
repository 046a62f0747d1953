"""The oracle equals finite differences of the whole procedure."""

import pytest
import torch

from l2rw_ray.meta import reference_scores
from tests.meta.networks import BUILDERS, LOSS, lookahead_slopes, make_case, relative_error


@pytest.mark.parametrize("seed", [0, 4])
@pytest.mark.parametrize("name", BUILDERS)
def test_reference_equals_finite_differences_of_the_whole_procedure(name: str, seed: int) -> None:
    case = make_case(name, train_size=4, meta_size=3, seed=seed)
    found = reference_scores(case.network, LOSS, case.train, case.meta)
    expected = lookahead_slopes(case)
    assert relative_error(found, expected) < 1e-9
    assert relative_error(found * (1 + 1e-8), expected) > 1e-9


def test_score_is_proportional_to_the_learning_rate_of_the_lookahead() -> None:
    case = make_case("mlp")
    once = reference_scores(case.network, LOSS, case.train, case.meta)
    torch.testing.assert_close(
        reference_scores(case.network, LOSS, case.train, case.meta, learning_rate=0.25), 0.25 * once
    )
