"""What every `method` section says of its method, beside its options."""

from typing import ClassVar, NamedTuple

from l2rw_ray.config.section import Section


class Stage(NamedTuple):
    """A part of a trial, in which the schedule of the learning rate starts anew.

    Attributes:
        epochs: Its length.
        lr_factor: Factor on all learning rates.
        is_fresh: Whether it starts from fresh parameters, not from those of the stage before.
    """

    epochs: int
    lr_factor: float = 1.0
    is_fresh: bool = True


class MethodSection(Section):
    """Options of a method.

    Attributes:
        needs_classes: Whether the method is undefined for a regression.
        needs_targets: Whether it is undefined for classes.
        needs_whole_train_set: Whether it reads the train set in an order of its own.
        needs_output_layer: Whether the network must have a linear layer.
        has_own_loss: Whether it trains classes on a loss of its own, so that the trial may not name one.
    """

    needs_classes: ClassVar[bool] = False
    needs_targets: ClassVar[bool] = False
    needs_whole_train_set: ClassVar[bool] = False
    needs_output_layer: ClassVar[bool] = False
    has_own_loss: ClassVar[bool] = False

    def stages(self, epochs: int) -> tuple[Stage, ...]:
        """Return the stages that a trial of so many epochs has, at least one."""
        return (Stage(epochs),)

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
