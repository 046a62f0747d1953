"""Drawing one source of randomness anew changes its draws and no others."""

from typing import Any

import pytest
import torch

from l2rw_ray.config import PlannedTrial
from l2rw_ray.data import Splits, epoch_batches, load_source, make_splits
from l2rw_ray.training import Ranks
from l2rw_ray.training.context import build_context
from tests.training.conftest import MakeTrial, results, train


def drawn(trial: PlannedTrial) -> tuple[Splits, dict[str, Any], list[int]]:
    """The sets, initial weights and first batch of a trial."""
    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed_of("split"))
    context = build_context(trial, splits, Ranks(), torch.device("cpu"))
    batch = next(epoch_batches(splits.train, 32, trial.seed_of("order"), 0))
    return splits, context.model.state_dict(), batch.index.tolist()


@pytest.mark.parametrize("source", ["split", "init", "order"])
def test_one_source_changes_and_the_others_do_not(make_trial: MakeTrial, source: str) -> None:
    before, after = drawn(make_trial()), drawn(make_trial(redraw=source))
    same_weights = all(torch.equal(before[1][name], after[1][name]) for name in before[1])
    assert (before[0].hashes == after[0].hashes) == (source != "split")
    assert same_weights == (source != "init")
    assert (before[2] == after[2]) == (source != "order")


def test_a_trial_trains_with_a_source_drawn_anew(make_trial: MakeTrial) -> None:
    plain, other = (train(make_trial(optim__epochs=1, **changes)) for changes in ({}, {"redraw": "order"}))
    assert results(plain) != results(other)
    assert plain[0].split_hashes == other[0].split_hashes
