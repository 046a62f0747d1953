"""Two ranks that hold a network's shards make the step that one process makes with the whole."""

from typing import Any

import pytest
import torch

from l2rw_ray.meta import example_scores
from tests.gloo_ranks import run_on_ranks
from tests.meta.networks import LOSS, relative_error
from tests.meta.sharded_cases import CASES, REFUSED, data, network, run_rank, train

Found = dict[Any, Any]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return run_on_ranks(run_rank, 2, tmp_path_factory.mktemp("sharded"))


@pytest.mark.parametrize(
    ("number", "kind"), [(number, "unequal") for number in range(len(CASES))] + [(0, "empty"), (2, "empty")]
)
def test_equals_one_process(found: Found, number: int, kind: str) -> None:
    together, options = found[number, kind], CASES[number][1]
    twin = network()
    named = together["estimator"] if options["estimator"] == "auto" else options["estimator"]
    results = train(twin, {**options, "estimator": named}, slice(0, 8), slice(0, 5))
    is_near = named != "per_example"
    close = {"rtol": 1e-5, "atol": 1e-5} if is_near else {"rtol": 1e-9, "atol": 1e-12}
    for result, weights in zip(results, together["weights"], strict=True):
        torch.testing.assert_close(weights, result.weights, **close)
    for result, cosine in zip(results, together["cosines"], strict=True):
        assert (result.direction_cosine is None) == (cosine is None)
        if cosine is not None:
            torch.testing.assert_close(cosine, result.direction_cosine, **close)
    moved = 0.0
    for parameter, whole, before in zip(
        twin.parameters(), together["parameters"], network().parameters(), strict=True
    ):
        torch.testing.assert_close(whole, parameter.detach(), **close)
        moved += (parameter - before).norm().item()
    assert moved > 1e-2, "nothing was learned: the comparison says nothing"


def test_auto_takes_differences_or_where_these_are_too_rough_gradients(found: Found) -> None:
    names = {
        number: found[number, "unequal"]["estimator"]
        for number, (_, options) in enumerate(CASES)
        if options["estimator"] == "auto"
    }
    assert names == {5: "finite_difference", 6: "per_example", 7: "finite_difference", 8: "finite_difference"}


def test_the_certificate_compares_all_ranks_scores_at_once(found: Found) -> None:
    errors = [found[number, "unequal"]["score_error"] for number in range(len(CASES))]
    exact = [number for number, (_, options) in enumerate(CASES) if options["estimator"] == "per_example"]
    assert all(errors[number] < 1e-12 for number in exact)
    assert all(0 < error < 1e-3 for error in errors)
    first, second = found["wrong"]
    assert first == second
    assert "its scores differ from those of plain autograd" in first


def test_scores_are_those_of_the_whole_and_nothing_is_written(found: Found) -> None:
    scores, (batches, meta) = found["scores"], data()
    expected = example_scores(network(), LOSS, batches[0][:2], meta, estimator="per_example")
    assert relative_error(scores["per_example"], expected) < 1e-12
    assert relative_error(scores["auto"], expected) < 1e-12
    assert relative_error(scores["finite_difference"], expected) < 1e-5
    assert scores["is_untouched"]
    assert scores["trained"] == ["3.bias", "3.weight", "5.bias", "5.weight"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_whole_parameters_is_refused_when_the_step_is_made(found: Found, name: str) -> None:
    message = found["refusals"][name]
    assert message.startswith(f"estimator = '{name}': it needs whole parameters")
    assert message.endswith("use estimator='auto', 'finite_difference' or 'per_example'")
    assert "\n" not in message


def test_gradients_must_be_summed_over_ranks(found: Found) -> None:
    assert "left no gradient on the shards; leave its synchronisation on" in found["no_sync"]


def test_bfloat16_is_left_to_gradients(found: Found) -> None:
    taken, named = found["bfloat16"]
    assert taken == "per_example"
    assert "rounding in less than float32 drowns the difference" in named
