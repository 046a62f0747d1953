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
        labels: Class indices, int64 [N]; of a regression indices of the target's strata.
        class_names: Name of each class.
        test_inputs: Inputs of the source's own test set, as `inputs`; None where it has none.
        test_labels: Their labels, as `labels`.
        groups: Index of each example's group, int64 [N]; None where each stands for itself.
        targets: What a regression predicts, float32 [N]; None for a classification.
        test_targets: Targets of the test set of its own.
        feature_names: Name of each of the F features; None where they have none.
        left_out: Examples that were left out for their targets.
    """

    inputs: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    test_inputs: Tensor | None = None
    test_labels: Tensor | None = None
    groups: Tensor | None = None
    targets: Tensor | None = None
    test_targets: Tensor | None = None
    feature_names: tuple[str, ...] | None = None
    left_out: int = 0

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

    def feature_index(self, given: int | str) -> int:
        """Place of a feature given by index or by name.

        Args:
            given: An index from 0, or one of `feature_names`.

        Raises:
            DataError: There is no such feature.
        """
        names = self.feature_names or ()
        if given in names:
            return names.index(str(given))
        count = self.inputs.shape[1] if self.inputs.ndim == 2 else 0
        if isinstance(given, int) and 0 <= given < count:
            return given
        remedy = f"use one of {', '.join(names) or f'0 to {count - 1}'}" if count else "leave it out"
        raise DataError("trial.data.noise.by", given, "no feature of this source", remedy)


Loader = Callable[..., Source]
"""Takes the trial's `data` section; one of the user's own takes its options as keyword arguments."""
SOURCES: Registry[Loader] = Registry("trial.data.source", import_paths=True)
