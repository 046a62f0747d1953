"""Texts of token ids with a mask, and a network that takes both."""

import torch
from torch import Tensor, nn

from l2rw_ray.data import Source, regression_source

VOCABULARY, LONGEST, CLASSES = 30, 8, 3
SOURCE, TARGETS, MODEL = (f"tests.training.texts:{name}" for name in ("load", "load_targets", "build"))


def tokens(count: int) -> dict[str, Tensor]:
    """Texts of two to eight tokens, padded with 0."""
    lengths = torch.randint(2, LONGEST + 1, (count, 1))
    mask = torch.arange(LONGEST) < lengths
    return {"input_ids": torch.randint(1, VOCABULARY, (count, LONGEST)) * mask, "attention_mask": mask}


def _scores(inputs: dict[str, Tensor]) -> Tensor:
    """How much of each text is of each class: a token is of the class of its remainder by three."""
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    return (nn.functional.one_hot(ids % CLASSES, CLASSES) * mask[:, :, None]).float().mean(dim=1)


def load(examples: int = 300) -> Source:
    """Texts whose class most of their tokens are of, with two random weight features."""
    inputs = tokens(examples)
    labels = _scores(inputs).argmax(dim=1)
    return Source(inputs, labels, ("a", "b", "c"), weight_features=torch.randn(examples, 2))


def load_targets(examples: int = 300, below: float | None = None) -> Source:
    """Texts, and how much of them is of the first class."""
    inputs = tokens(examples)
    return regression_source(inputs, _scores(inputs)[:, 0], below=below)


class _Texts(nn.Module):
    def __init__(self, outputs: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.hidden, self.output = nn.Linear(width, width), nn.Linear(width, outputs)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        mask = inputs["attention_mask"][:, :, None]
        mean = (self.embedding(inputs["input_ids"]) * mask).sum(dim=1) / mask.sum(dim=1)
        return self.output(self.hidden(mean).relu())


def build(input_shape: dict[str, tuple[int, ...]], outputs: int, width: int = 16) -> nn.Module:
    """The mean of a text's embeddings, and two layers."""
    assert input_shape == {"input_ids": (LONGEST,), "attention_mask": (LONGEST,)}
    return _Texts(outputs, width)
