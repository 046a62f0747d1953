"""Evaluate a model on a set of clean examples."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from l2rw_ray.data import ExampleSet, batches_in_order
from l2rw_ray.events import ConfusionMatrix, ExampleOutcomes
from l2rw_ray.meta import LossFunction
from l2rw_ray.methods.precision import at_least_float32
from l2rw_ray.training.custom_metrics import Metric, compute_metrics
from l2rw_ray.training.example_outcomes import OutcomeRecorder
from l2rw_ray.training.metrics import metrics_for
from l2rw_ray.training.ranks import Ranks, device_of, unwrapped

_BATCH = 512
_MAX_CLASSES = 200
"""Largest number of classes for which a confusion matrix is reported."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The metrics of a model on a set.

    Attributes:
        metrics: Those of `ClassificationMetrics` or `RegressionMetrics`, `loss` and the custom metrics; empty
            for an empty set.
        confusion_CC: Examples by true and predicted class, int64; None where there are no classes.
        outcomes: Outcome of each example; None where that was not asked for, or the set is too large.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    confusion_CC: Tensor | None = None
    outcomes: ExampleOutcomes | None = None

    def confusion(self, class_names: Sequence[str]) -> ConfusionMatrix | None:
        """Return the confusion matrix; None where there are no classes, or too many."""
        counts_CC = self.confusion_CC
        if counts_CC is None or len(counts_CC) > _MAX_CLASSES:
            return None
        return ConfusionMatrix(tuple(class_names), tuple(map(tuple, counts_CC.tolist())))


@torch.no_grad()
def evaluate(
    model: nn.Module,
    examples: ExampleSet,
    classes: int,
    loss_fn: LossFunction,
    ranks: Ranks,
    custom: Mapping[str, Metric] | None = None,
    num_workers: int = 0,
    *,
    keep_outcomes: bool = False,
) -> Evaluation:
    """Return mean loss, accuracies or errors, and custom metrics of a set; all ranks call this together.

    Each rank evaluates its share, and the shares are added up.

    Args:
        model: Network, wrapped or not; evaluated in eval mode and returned to train mode.
        examples: Examples with clean labels or targets.
        classes: Number of classes.
        loss_fn: Maps (output, target) to one loss per example.
        ranks: The trial's workers.
        custom: Custom metrics, by import path; every rank computes them on the whole set.
        num_workers: Processes that transform images ahead; 0 for none.
        keep_outcomes: Whether to return the outcome of each example.

    Raises:
        ConfigError: A custom metric returned no number.
    """
    if not len(examples):
        return Evaluation()
    network, device = unwrapped(model), device_of(model)
    sums = metrics_for(examples, classes, device)
    total_loss = torch.zeros((), dtype=torch.float64, device=device)
    kept: list[Tensor] = []
    recorder = OutcomeRecorder(examples, classes) if keep_outcomes else None
    network.eval()
    share = torch.arange(len(examples))[ranks.share(len(examples))]
    with closing(batches_in_order(examples, share, _BATCH, num_workers)) as batches:
        for x, y in batches:
            output = at_least_float32(network(x))
            sums.add(output, y)
            if recorder is not None:
                recorder.add(output, y)
            total_loss += loss_fn(output, y).double().sum()
            if custom:
                kept.append(output.cpu())
    network.train()
    summary = {
        **sums.summarise(ranks),
        "loss": ranks.sum(total_loss).item() / len(examples),
        **_custom_metrics(custom or {}, kept, examples, ranks),
    }
    outcomes = recorder.gather(ranks) if recorder is not None else None
    return Evaluation(summary, sums.confusion, outcomes)


def _custom_metrics(
    custom: Mapping[str, Metric], kept: list[Tensor], examples: ExampleSet, ranks: Ranks
) -> dict[str, float]:
    """Compute the custom metrics on the outputs of all ranks, in order of rank."""
    if not custom:
        return {}
    outputs_NC = torch.cat([part for parts in ranks.gather(kept) for part in parts])
    targets_N = examples.answers(torch.arange(len(examples), device=examples.labels.device))
    return compute_metrics(custom, outputs_NC, targets_N.cpu())
