"""Classifiers of token sequences, small enough to be trained within a second, and their data."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, DistributedSampler
from transformers import BertConfig, BertForSequenceClassification
from transformers.modeling_outputs import SequenceClassifierOutput

from l2rw_ray.meta import Certificate, ScoredStep, StepResult, cycle_batches

STEPS = 10
BATCH = 4
"""Examples of an optimiser step, on all ranks and micro-batches together."""
EXAMPLES, META_EXAMPLES = STEPS * BATCH, 8
MAX_NORM = 0.5
"""Which most gradients exceed."""
WORDS, LENGTH, LABELS = 30, 6, 3


def _examples(count: int, seed: int) -> list[dict[str, Tensor]]:
    """Draw sequences with labels of their own."""
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(WORDS, (count, LENGTH), generator=generator)
    labels = torch.randint(LABELS, (count,), generator=generator)
    return [{"input_ids": row, "labels": label} for row, label in zip(words, labels, strict=True)]


TRAIN_SET, META_SET = _examples(EXAMPLES, 1), _examples(META_EXAMPLES, 2)


def losses(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Return a loss for each sequence."""
    logits = model(input_ids=batch["input_ids"]).logits
    return functional.cross_entropy(logits, batch["labels"], reduction="none")


class BagOfWords(nn.Module):
    """A perceptron of a sequence's mean word, of layers that have gradient rules."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 16)
        self.body = nn.Sequential(nn.Linear(16, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, LABELS))

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> SequenceClassifierOutput:
        return SequenceClassifierOutput(logits=self.body(self.words(input_ids).mean(dim=1)))


class WithBatchNorm(BagOfWords):
    """The same with a layer in which examples see each other."""

    def __init__(self) -> None:
        super().__init__()
        self.body[1] = nn.BatchNorm1d(32)


def bert() -> nn.Module:
    """Return a small BERT without dropout."""
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=LENGTH,
        num_labels=LABELS,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.1,
    )
    return BertForSequenceClassification(config)


@dataclass(frozen=True)
class Setting:
    """What a loop trains, and how.

    Attributes:
        build: Builds the model.
        accumulation: Micro-batches of an optimiser step.
        dtype: Of the parameters.
        precision: Mixed precision's name, such as `bf16`; None for none.
        estimator: Of the step.
        meta_size: Meta examples of a micro-batch, on all ranks together.
        rank: This process.
        world_size: Number of processes.
    """

    build: Callable[[], nn.Module]
    accumulation: int = 1
    dtype: torch.dtype = torch.float64
    precision: str | None = None
    estimator: str = "auto"
    meta_size: int = 3
    rank: int = 0
    world_size: int = 1

    @property
    def batch_size(self) -> int:
        """Examples of a micro-batch on a rank."""
        return BATCH // self.accumulation // self.world_size

    @property
    def meta_batch_size(self) -> int:
        """Meta examples of a micro-batch on a rank."""
        return self.meta_size // self.world_size

    def model(self) -> nn.Module:
        """Return a new model, always with the same parameters."""
        torch.manual_seed(0)
        return self.build().to(self.dtype)

    def loader(self) -> DataLoader[Any]:
        """Return a loader of this rank's shares of train batches, in order."""
        return DataLoader(TRAIN_SET, self.batch_size, sampler=self._sampler(TRAIN_SET))

    def whole_loader(self) -> DataLoader[Any]:
        """Return a loader of the batches of all ranks together."""
        return DataLoader(TRAIN_SET, self.batch_size * self.world_size)

    def meta_batches(self) -> Iterator[Any]:
        """Return this rank's shares of meta batches, without end."""
        return cycle_batches(DataLoader(META_SET, self.meta_batch_size, sampler=self._sampler(META_SET)))

    def _sampler(self, examples: Any) -> DistributedSampler[Any]:
        return DistributedSampler(examples, self.world_size, self.rank, shuffle=False)

    def autocast(self) -> AbstractContextManager[Any]:
        """Return what a loop written by hand enters around its forward."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16")


def optimiser_of(model: nn.Module) -> tuple[Optimizer, LambdaLR]:
    """Return an optimiser and a schedule that lowers its learning rate at every step.

    Adam would make large steps of gradients that are zero but for rounding, as of the keys' biases.
    """
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    return optimizer, LambdaLR(optimizer, lambda step: 1 - step / (2 * STEPS))


@dataclass
class Trained:
    """What a loop leaves.

    Attributes:
        parameters: The model's, by name.
        skipped: Micro-batches of which no example had a positive weight.
        certificate: The last one.
        losses: Σ w_i ℓ_i of each micro-batch.
    """

    parameters: dict[str, Tensor]
    skipped: int
    certificate: Certificate | None
    losses: list[float]


class Recorder:
    """Takes note of what a loop's steps do."""

    def __init__(self) -> None:
        self._skipped, self._losses = 0, list[float]()
        self._certificate: Certificate | None = None

    def note(self, scored: ScoredStep | StepResult, loss: Tensor) -> None:
        """Take note of a micro-batch."""
        self._skipped += scored.skipped
        self._losses.append(loss.item())
        self._certificate = scored.certificate

    def trained(self, model: Any) -> Trained:
        """Return the whole, with the parameters of the model."""
        parameters = {name: value.detach().clone() for name, value in model.named_parameters()}
        return Trained(parameters, self._skipped, self._certificate, self._losses)
