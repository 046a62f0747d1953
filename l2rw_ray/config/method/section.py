"""What every `method` section says of its method, beside its options."""

from typing import ClassVar

from l2rw_ray.config.section import Section


class MethodSection(Section):
    """Options of a method.

    Attributes:
        needs_classes: Whether the method is undefined for a regression.
        needs_targets: Whether it is undefined for classes.
        needs_whole_train_set: Whether it reads the train set in an order of its own.
        needs_output_layer: Whether the network must have a linear layer.
    """

    needs_classes: ClassVar[bool] = False
    needs_targets: ClassVar[bool] = False
    needs_whole_train_set: ClassVar[bool] = False
    needs_output_layer: ClassVar[bool] = False

    @property
    def steps_per_weight_update(self) -> int:
        """Steps from one computation of weights to the next; 1 without such an option."""
        return 1

    @property
    def steps_per_meta_gradient(self) -> int:
        """Steps from one meta gradient to the next."""
        return self.steps_per_weight_update

    @property
    def scored_steps_per_check(self) -> int:
        """Steps that compute scores from one check of their estimator to the next; 0 for no checks."""
        return 0
