"""Networks of texts: padding changes nothing, and scores of their examples are exact."""

from typing import get_args

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from l2rw_ray import ReweightedStep, example_scores
from l2rw_ray.config.model import TEXT_MODELS as CONFIGURED
from l2rw_ray.config.model import TextModel
from l2rw_ray.data.text.joining import joined_texts
from l2rw_ray.errors import ConfigError
from l2rw_ray.meta import reference_scores
from l2rw_ray.models import build_model
from l2rw_ray.models.text.inputs import TEXT_MODELS

VOCABULARY, LONGEST = 40, 12
SHAPE = {"input_ids": (LONGEST,), "attention_mask": (LONGEST,)}
LOSS = nn.CrossEntropyLoss(reduction="none")


def texts(count: int, longest: int) -> dict[str, torch.Tensor]:
    """Texts from one token to `longest`, padded by whatever."""
    lengths = torch.randint(1, longest + 1, (count, 1))
    lengths[0] = longest
    ids = torch.randint(VOCABULARY, (count, longest))
    return {"input_ids": ids, "attention_mask": (torch.arange(longest) < lengths).long()}


def network(name: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    return build_model(name, SHAPE, 3, {"width": 8, **options}, {"vocab_size": VOCABULARY})


def test_names_are_those_of_the_configuration() -> None:
    named = [
        name for section in get_args(TextModel) for name in get_args(section.model_fields["name"].annotation)
    ]
    assert tuple(named) == CONFIGURED == TEXT_MODELS


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_padding_changes_nothing(name: str) -> None:
    model, inputs = network(name).double(), texts(5, 7)
    expected = model(inputs)
    assert expected.shape == (5, 3)
    padded = {part: nn.functional.pad(tensor, (0, 4)) for part, tensor in inputs.items()}
    padded["input_ids"][:, 7:] = 9
    torch.testing.assert_close(model(padded), expected)
    alone = {part: tensor[4:, : int(inputs["attention_mask"][4].sum())] for part, tensor in inputs.items()}
    torch.testing.assert_close(model(alone), expected[4:])
    assert model({part: tensor[:0] for part, tensor in inputs.items()}).shape == (0, 3)


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_tokens_count(name: str) -> None:
    model, inputs = network(name), texts(4, 7)
    other = inputs | {"input_ids": (inputs["input_ids"] + 1) % VOCABULARY}
    assert ((model(inputs) - model(other)).abs().amax(dim=1) > 1e-6).all()


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_scores_by_ghost_equal_algorithm_1(name: str) -> None:
    model = network(name).double()
    train, meta = ((texts(count, longest), torch.arange(count) % 3) for count, longest in ((8, 5), (6, 9)))
    with sdpa_kernel(SDPBackend.MATH):  # the usual one has no second derivative
        expected = reference_scores(model, LOSS, train, meta)
    assert expected.abs().min() > 0
    found = example_scores(model, LOSS, train, meta, estimator="ghost")
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_auto_takes_ghost_and_joins_batches_of_different_lengths(name: str) -> None:
    model, joined = network(name), []
    step = ReweightedStep(
        model,
        torch.optim.SGD(model.parameters(), lr=0.1),
        LOSS,
        collate=lambda first, second: joined.append(None) or joined_texts(first, second),
    )
    result = step((texts(8, 5), torch.arange(8) % 3), (texts(6, 9), torch.arange(6) % 3), torch.arange(8))
    assert step.estimator == "ghost"
    assert result.certificate.score_error < 1e-4
    assert joined


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_dropout_drops_in_training_only(name: str) -> None:
    model, inputs = network(name, dropout=0.5), texts(4, 7)
    assert not torch.equal(model(inputs), model(inputs))
    assert torch.equal(model.eval()(inputs), model(inputs))


@pytest.mark.parametrize(
    ("shape", "sizes", "problem"),
    [
        ((1, 8, 8), {}, "inputs are of shape (1, 8, 8), it takes texts; use a table with data.text"),
        ({"ids": (4,)}, {}, "inputs are a dict, it takes texts; use a table with data.text"),
        (SHAPE, {}, "the source does not say how many tokens there are; use a table with data.text,"),
    ],
)
def test_other_inputs_are_refused(shape, sizes, problem) -> None:
    with pytest.raises(ConfigError) as caught:
        build_model("text_cnn", shape, 3, {}, sizes)
    assert problem in str(caught.value)
