"""How good a model is on a set of clean examples."""

import torch
from torch import nn
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassConfusionMatrix

from l2rw_ray.data import ExampleSet
from l2rw_ray.meta import LossFunction
from l2rw_ray.training.ranks import Ranks, device_of, unwrapped

_BATCH = 512


@torch.no_grad()
def evaluate(
    model: nn.Module, examples: ExampleSet, classes: int, loss_fn: LossFunction, ranks: Ranks
) -> dict[str, float]:
    """Accuracy, balanced accuracy, worst class's accuracy and mean loss, over all ranks together.

    Each rank evaluates its share; torchmetrics adds the shares up. Balanced accuracy is the mean
    recall over the classes that occur, as in scikit-learn's `balanced_accuracy_score`.

    Args:
        model: Network, wrapped or not; evaluated in eval mode and put back into train mode.
        examples: Examples with clean labels.
        classes: Number of classes.
        loss_fn: Maps (output, target) to one loss per example.
        ranks: The trial's workers.

    Returns:
        `accuracy`, `balanced_accuracy`, `worst_class_accuracy` as fractions and `loss`; empty for
        an empty set.
    """
    if not len(examples):
        return {}
    network, device = unwrapped(model), device_of(model)
    confusion = MulticlassConfusionMatrix(classes).to(device)
    mean_loss = MeanMetric(nan_strategy="disable").to(device)
    network.eval()
    share = torch.arange(len(examples))[ranks.share(len(examples))]
    for index in share.split(_BATCH):
        x, y = examples.take(index)
        output = network(x)
        confusion.update(output, y)
        mean_loss.update(loss_fn(output, y))
    network.train()
    counts_CC = confusion.compute().double()
    recall_C = (counts_CC.diagonal() / counts_CC.sum(dim=1))[counts_CC.sum(dim=1) > 0]
    return {
        "accuracy": (counts_CC.trace() / counts_CC.sum()).item(),
        "balanced_accuracy": recall_C.mean().item(),
        "worst_class_accuracy": recall_C.min().item(),
        "loss": mean_loss.compute().item(),
    }
