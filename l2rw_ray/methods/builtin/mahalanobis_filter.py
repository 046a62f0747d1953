"""Drop the examples that lie far from their class in feature space.

Shape suffixes: N train examples, F features, C classes.
"""

import torch
from torch import Tensor
from torch.nn import functional

from l2rw_ray.config.method.stages import MahalanobisFilterConfig
from l2rw_ray.meta import Replicas
from l2rw_ray.methods.filtering import FilterMethod
from l2rw_ray.methods.interface import TrainingContext
from l2rw_ray.methods.output_layer import output_layer
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.whole_set import features_of

_CHUNK = 4096


def mahalanobis_distances(features_NF: Tensor, labels_N: Tensor, classes: int) -> Tensor:
    """Return distances [N, C], float64, to each class's mean under the covariance that all classes share.

    Directions with no more spread than rounding causes are left out, as in scikit-learn's
    EmpiricalCovariance, which Lee et al. use. The mean of a class without examples is infinitely far.

    Args:
        features_NF: Features.
        labels_N: Their classes, which give means and covariance.
        classes: Number of classes.
    """
    chunks = list(zip(features_NF.split(_CHUNK), labels_N.split(_CHUNK), strict=True))
    counts_C = labels_N.bincount(minlength=classes).double()
    sums_CF = sum(functional.one_hot(y, classes).double().T @ f.double() for f, y in chunks)
    means_CF = sums_CF / counts_C.clamp_min(1)[:, None]
    centred = ((f.double() - means_CF[y]) for f, y in chunks)
    covariance_FF = sum(c.T @ c for c in centred) / len(labels_N)
    spread_F, directions_FF = torch.linalg.eigh(covariance_FF)
    used_F = spread_F > spread_F.max() * len(spread_F) * torch.finfo(features_NF.dtype).eps
    whiten = directions_FF[:, used_F] / spread_F[used_F].sqrt()
    whitened_means = means_CF @ whiten
    exact = "donot_use_mm_for_euclid_dist"
    found = [torch.cdist(f.double() @ whiten, whitened_means, compute_mode=exact) for f, _ in chunks]
    return torch.cat(found).where(counts_C > 0, torch.inf)


@METHODS.register("mahalanobis_filter")
class MahalanobisFilterMethod(FilterMethod):
    """Drop the examples whose penultimate features lie farthest from class means, by Mahalanobis distance.

    Source: Lee et al. 2018, equations 1 and 2, without their input perturbation and their ensemble of
    layers. They detect out-of-distribution inputs by the distance to the nearest mean
    (`reference: best_class`). Deviation by default: how improbable the given label is in the Gaussian
    classifier that these distances define, with equal priors (`given_class`), since errors in a train set
    are mostly wrong labels; the distance to the mean of the given class hardly shows those, as all
    directions count the same in it. Means and covariance are of the given labels, right or wrong.

    Raises:
        UnsupportedModelError: The network has no linear layer.
    """

    def __init__(self, config: MahalanobisFilterConfig, context: TrainingContext) -> None:
        output_layer(Replicas.of(context.model).module)  # raise now, not after the first stage
        super().__init__(config, context)

    def outlier_scores(self, step: int) -> Tensor:
        """Return the distance, or minus the logarithm of the label's probability, [N]."""
        train = self._context.train
        features_NF = features_of(train, self._context, step)
        distances_NC = mahalanobis_distances(features_NF, train.labels, self._context.classes)
        if self.reference == "best_class":
            return distances_NC.amin(dim=1)
        return functional.cross_entropy(-distances_NC.square() / 2, train.labels, reduction="none")
