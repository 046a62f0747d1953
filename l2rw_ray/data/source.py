"""A source of examples, before it is split."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from l2rw_ray.errors import DataError
from l2rw_ray.registry import Registry


@dataclass(frozen=True)
class Source:
    """Everything a source holds, decoded.

    Shape suffixes: N examples, F features.

    Attributes:
        inputs: Images as uint8 [N, C, H, W], or features as float32 [N, F].
        labels: Class indices, int64 [N].
        class_names: Name of each class.
        test_inputs: Inputs of the source's own test set, as `inputs`; None where it has none.
        test_labels: Their labels, as `labels`.
        groups: Index of each example's group, int64 [N]; None where each stands for itself.
        weight_features: What tells how far an example can be trusted, float32 [N, F], for the arm
            `weight_model`; None where nothing does.
        train_labels: Labels that the train set has in place of `labels`, some of them wrong, as they
            were given at first, int64 [N]; None for `labels`, which the other sets always have.
    """

    inputs: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    test_inputs: Tensor | None = None
    test_labels: Tensor | None = None
    groups: Tensor | None = None
    weight_features: Tensor | None = None
    train_labels: Tensor | None = None

    def class_index(self, given: int | str) -> int:
        """Index of a class given by index or by name.

        Args:
            given: An index from 0, or one of `class_names`.

        Raises:
            DataError: There is no such class.
        """
        if isinstance(given, int) and 0 <= given < len(self.class_names):
            return given
        if given in self.class_names:
            return self.class_names.index(str(given))
        names = ", ".join(self.class_names)
        raise DataError("trial.data.bias.class", given, "no class of this source", f"use one of {names}")


Loader = Callable[..., Source]
"""Takes the trial's `data` section; one of the user's own takes its options as keyword arguments."""
SOURCES: Registry[Loader] = Registry("trial.data.source", import_paths=True)
