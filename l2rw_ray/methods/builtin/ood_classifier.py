"""Weights from a classifier that separates meta examples from train examples.

Shape suffixes: N train examples, M meta set, F features.
"""

from importlib import import_module

import numpy as np
import torch
from torch import Tensor

from l2rw_ray.config.method.stages import OodClassifierConfig
from l2rw_ray.data import rng_for
from l2rw_ray.meta import Replicas
from l2rw_ray.methods.interface import TrainingContext
from l2rw_ray.methods.output_layer import output_layer
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.two_stages import TwoStageMethod
from l2rw_ray.methods.whole_set import features_of

_FOLDS = 5


def in_distribution(train_NF: Tensor, meta_MF: Tensor, generator: torch.Generator) -> Tensor:
    """Return the probability [N] that each train example's features are those of a meta example.

    Fits a logistic regression of meta (in) against train (out) on standardised features, with
    scikit-learn's L2 penalty (C = 1) and equal total weight of both sets. It is cross-fitted: the train
    examples are split into five parts, each scored by a fit on the other four and the whole meta set.

    Args:
        train_NF: Features of the train examples, at least two.
        meta_MF: Features of the meta examples.
        generator: Draws the parts.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, meta = train_NF.double().cpu().numpy(), meta_MF.double().cpu().numpy()
    probability_N = np.zeros(len(train))
    parts_N = torch.randperm(len(train), generator=generator).numpy() % _FOLDS
    for part in range(min(_FOLDS, len(train))):
        fold = parts_N == part
        features = np.concatenate([meta, train[~fold]])
        is_in = np.arange(len(features)) < len(meta)
        regression = LogisticRegression(class_weight="balanced", max_iter=1000)
        classifier = make_pipeline(StandardScaler(), regression).fit(features, is_in)
        probability_N[fold] = classifier.predict_proba(train[fold])[:, 1]
    return torch.from_numpy(probability_N)


@METHODS.register("ood_classifier")
class OodClassifierMethod(TwoStageMethod):
    """Weight each train example by the probability that it comes from the meta set's distribution.

    After the first stage `in_distribution` scores the train examples on its model's penultimate features;
    the second stage trains with these probabilities as weights, divided by their sum in each step. They
    follow the ratio of densities of meta and train set: where the meta set is balanced, rare classes get
    larger weights. Labels are not used. With few meta examples for the number of features the classifier
    separates the two sets by chance, and probabilities are spread and mostly low even for equal
    distributions: only the train examples are cross-fitted.

    Raises:
        UnsupportedModelError: The network has no linear layer.
    """

    def __init__(self, config: OodClassifierConfig, context: TrainingContext) -> None:
        output_layer(Replicas.of(context.model).module)  # raise now, not after the first stage
        import_module(
            "sklearn.linear_model"
        )  # before training is seeded: what it imports draws random numbers
        super().__init__(config, context)

    def compute_weights(self, step: int) -> Tensor:
        """Return the probabilities, [N]."""
        context = self._context
        features_NF = features_of(context.train, context, step)
        meta_MF = features_of(context.meta.examples, context, step)
        found_N = in_distribution(features_NF, meta_MF, rng_for(context.seed, "ood_folds"))
        return found_N.to(context.train.labels.device)
