"""Drop the examples that a first model is least sure of.

Shape suffixes: N train examples, C classes.
"""

from torch import Tensor

from l2rw_ray.methods.filtering import FilterMethod
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.whole_set import outputs_of


@METHODS.register("msp_filter")
class MspFilterMethod(FilterMethod):
    """Drop the examples with the smallest softmax probability.

    Source: Hendrycks & Gimpel 2017, who detect out-of-distribution inputs by the largest probability
    (`reference: best_class`). Deviation by default: the probability of the given label (`given_class`),
    since errors in a train set are mostly wrong labels, which the largest probability ignores.
    """

    def outlier_scores(self, step: int) -> Tensor:
        """Return minus the log-probability, [N], which distinguishes values that round to 0 or 1."""
        train = self._context.train
        log_probability_NC = outputs_of(train, self._context, step).double().log_softmax(dim=1)
        if self.reference == "best_class":
            return -log_probability_NC.amax(dim=1)
        return -log_probability_NC.gather(1, train.labels[:, None]).squeeze(1)
