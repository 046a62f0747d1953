import pytest
import torch

from l2rw_ray.data import Batch
from l2rw_ray.methods import StepOutcome
from l2rw_ray.training import Ranks
from l2rw_ray.training.examples.evidence import ExampleEvidence

ALONE = Ranks()


def batch(*places: int) -> Batch:
    index = torch.tensor(places)
    return Batch(torch.zeros(len(places), 1), torch.zeros_like(index), index, global_size=len(places))


def outcome(losses, weights=None, scores=None, **others) -> StepOutcome:
    found = [None if each is None else torch.tensor(each) for each in (losses, weights, scores)]
    return StepOutcome(torch.tensor(0.0), found[0], found[1], scores_B=found[2], **others)


def means(evidence: ExampleEvidence) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in evidence.summarise().items()}


def test_only_the_later_half_of_the_epochs_counts():
    for epochs, counted in ((1, [0]), (2, [1]), (3, [1, 2]), (4, [2, 3])):
        evidence = ExampleEvidence(1, epochs, torch.device("cpu"))
        for epoch in range(epochs):
            evidence.add(epoch, batch(0), outcome([10.0**epoch]))
            evidence.end_epoch(epoch, ALONE, is_chosen=False)
        assert means(evidence)["loss"] == [pytest.approx(sum(10.0**each for each in counted) / len(counted))]


def test_means_are_over_the_steps_that_had_a_value():
    evidence = ExampleEvidence(3, 1, torch.device("cpu"))
    evidence.add(0, batch(0, 1), outcome([1.0, 2.0], [0.75, 0.25], [5.0, -1.0]))
    evidence.add(0, batch(1, 0), outcome(None, [0.0, 0.0], skipped=True))
    evidence.end_epoch(0, ALONE, is_chosen=False)
    found = means(evidence)
    assert found["weight"][:2] == [0.75, 0.25], "1.5 and 0.5 times 1/B, then 0"
    assert found["zero_fraction"][:2] == [0.5, 0.5]
    assert found["loss"][:2] == [1.0, 2.0]
    assert found["score"][:2] == [5.0, -1.0]
    assert all(values[2] != values[2] for values in found.values()), "nothing was seen of the third"


def test_a_plain_step_weighs_all_alike():
    evidence = ExampleEvidence(2, 1, torch.device("cpu"))
    evidence.add(0, batch(0, 1), outcome([1.0, 2.0]))
    evidence.end_epoch(0, ALONE, is_chosen=False)
    assert means(evidence)["weight"] == [1.0, 1.0]


def test_who_is_left_out_of_an_epoch_on_purpose_has_weight_zero():
    evidence = ExampleEvidence(2, 1, torch.device("cpu"))
    evidence.add(0, batch(0), outcome([1.0]))
    evidence.end_epoch(0, ALONE, is_chosen=True)
    found = means(evidence)
    assert found["weight"] == [1.0, 0.0]
    assert found["zero_fraction"] == [0.0, 1.0]
    assert found["loss"][1] != found["loss"][1]


def test_losses_of_other_examples_are_nobodys():
    evidence = ExampleEvidence(1, 1, torch.device("cpu"))
    evidence.add(0, batch(0), outcome([1.0, 2.0, 3.0], is_on_batch=False))
    evidence.end_epoch(0, ALONE, is_chosen=False)
    assert means(evidence)["loss"][0] != means(evidence)["loss"][0]


def test_sums_of_an_epoch_under_way_are_not_in_a_checkpoint():
    evidence, other = (ExampleEvidence(1, 2, torch.device("cpu")) for _ in range(2))
    evidence.add(1, batch(0), outcome([1.0]))
    other.load_state_dict(evidence.state_dict())
    other.add(1, batch(0), outcome([3.0]))
    other.end_epoch(1, ALONE, is_chosen=False)
    assert means(other)["loss"] == [3.0]
