"""No estimator gives a wrong score without an error, whatever a network is put together of.

150 networks are tried, the same each time. For more, drawn anew each time:

    RANDOM_NETWORKS=2000 python -m pytest tests/meta/test_random_networks.py --timeout=0
"""

import copy
import os

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l2rw_ray.errors import L2RWError
from l2rw_ray.meta import ReweightedStep, example_scores
from tests.meta.random_networks import BLOCKS, LOSSES, STEMS, Network, Recipe
from tests.meta.zoo.reference import true_scores, true_weighted_gradient

EXACT = ("auto", "ghost", "forward_mode", "second_order", "per_example")
DIFFERENCES = ("finite_difference", "central_difference")
MAX_ERROR = 0.01
LUCK = 5
"""How far beyond the stated error an estimator may be that random draws let pass."""
_MANY = int(os.environ.get("RANDOM_NETWORKS", "0"))
RECIPES = st.builds(
    Recipe,
    stem=st.sampled_from(list(STEMS)),
    blocks=st.lists(st.sampled_from(list(BLOCKS)), min_size=1, max_size=4).map(tuple),
    loss=st.sampled_from(list(LOSSES)),
    form=st.sampled_from(["pair", "dict", "nested"]),
    tied=st.booleans(),
    train_size=st.integers(2, 9),
    meta_size=st.integers(2, 5),
    seed=st.integers(0, 1000),
)
TRIED = settings(
    max_examples=_MANY or 150,
    derandomize=not _MANY,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def _built(recipe: Recipe, dtype: torch.dtype) -> tuple[Network, tuple[object, object]]:
    return recipe.network().to(dtype), recipe.batches(dtype)


def _precision(recipe: Recipe, dtype: torch.dtype) -> float:
    """Return the machine epsilon of the coarsest part."""
    return max(torch.finfo(kind).eps for kind in (dtype, recipe.precision))


def _allowed(estimator: str, recipe: Recipe, dtype: torch.dtype) -> float:
    eps = _precision(recipe, dtype)
    exact = 0.1 if eps > 1e-3 else 1e-3 if eps > 1e-9 else 1e-6
    return max(exact, LUCK * MAX_ERROR) if estimator in DIFFERENCES else exact


@TRIED
@given(recipe=RECIPES, dtype=st.sampled_from([torch.float64, torch.float32]))
def test_scores_are_true_or_refused(recipe: Recipe, dtype: torch.dtype) -> None:
    network, (train, meta) = _built(recipe, dtype)
    expected = true_scores(network, recipe.losses, train, meta)
    direction, lengths = _lengths(network, recipe, train, meta)
    rounding = 100 * _precision(recipe, dtype) * direction * lengths
    for estimator in (*EXACT, *DIFFERENCES):
        torch.manual_seed(0)
        try:
            found = example_scores(
                network,
                train_batch=train,
                meta_batch=meta,
                estimator=estimator,
                losses=recipe.losses,
                max_error=MAX_ERROR if estimator in DIFFERENCES else None,
            )
        except L2RWError as error:
            if estimator == "auto" or len(str(error).splitlines()) > 1:
                raise
            continue
        error = (found - expected).double().norm().item()
        allowed = _allowed(estimator, recipe, dtype) * expected.double().norm().item() + rounding
        assert error <= allowed, f"{estimator}: {error / expected.norm().item():.1e}"


def _lengths(network: Network, recipe: Recipe, train: object, meta: object) -> tuple[float, float]:
    """Return the lengths of D and of all examples' gradients, of which scores keep the rounding."""
    mean = torch.full((recipe.meta_size,), 1 / recipe.meta_size)
    return _length(network, recipe, meta, mean), _example_lengths(network, recipe, train).norm().item()


def _example_lengths(network: Network, recipe: Recipe, train: object) -> torch.Tensor:
    """Return the length of each example's gradient, [B]."""
    each = torch.eye(recipe.train_size)
    return torch.tensor([_length(network, recipe, train, weights) for weights in each])


def _length(network: Network, recipe: Recipe, batch: object, weights: torch.Tensor) -> float:
    gradient = true_weighted_gradient(network, recipe.losses, batch, weights)
    return torch.stack([part.double().norm() for part in gradient.values()]).norm().item()


@TRIED
@given(recipe=RECIPES, estimator=st.sampled_from([*EXACT, *DIFFERENCES]))
def test_a_step_is_a_plain_step_on_its_weights(recipe: Recipe, estimator: str) -> None:
    network, (train, meta) = _built(recipe, torch.float64)
    plain = copy.deepcopy(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    torch.manual_seed(0)
    try:
        step = ReweightedStep(network, optimizer, losses=recipe.losses, estimator=estimator, clip="none")
        result = step(train, meta)
    except L2RWError:
        if estimator == "auto":
            raise
        return
    drawn = torch.get_rng_state()
    torch.manual_seed(0)
    losses = recipe.losses(plain, train)
    assert torch.equal(torch.get_rng_state(), drawn)
    eps = _precision(recipe, torch.float64)
    moved = 0.1 * float(result.weights.abs() @ _example_lengths(plain, recipe, train).double())
    torch.testing.assert_close(result.losses, losses.detach(), rtol=max(1e-9, 10 * eps), atol=1e-12)
    if not result.skipped:
        (result.weights * losses).sum().backward()
        torch.optim.SGD(plain.parameters(), lr=0.1).step()
    rounding = max(1e-9, 100 * eps)
    torch.testing.assert_close(
        network.state_dict(), plain.state_dict(), rtol=rounding, atol=rounding * max(1.0, moved)
    )
