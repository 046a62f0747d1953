"""Protocols that corrupt a set: kinds of bias (class proportions) and of noise (wrong labels or targets).

A class is given by its name or by its index in the source, also where a bias leaves classes out.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from l2rw_ray.config.data.regression import GaussianNoise
from l2rw_ray.config.section import Section, conflict

_ROUNDING = 1e-6
"""Tolerance for the sum of probabilities written as decimals."""


class NoBias(Section):
    """Classes keep their proportions: in the train set the source's, in the meta set equal ones."""

    kind: Literal["none"] = "none"


class DominantClass(Section):
    """One class makes up a given fraction of the set, the others share the rest equally."""

    kind: Literal["dominant_class"]
    level: float = Field(gt=0, lt=1)
    """Fraction of the set that belongs to the dominant class, between 0 and 1."""
    dominant_class: int | str = Field(default=0, alias="class")
    """The dominant class, by name or by index."""


class DominantClassBias(DominantClass):
    """One class makes up a given fraction of the train set, the others share the rest equally."""

    size: Literal["matched", "as_published"] = "matched"
    """`matched`: every level has `train_size` examples. `as_published` (arXiv:2405.06859): every
    dominant example is kept and the train set has n_dominant / level examples."""


class LongTail(Section):
    """Class sizes fall exponentially, n_c = n_max · factor^(−c/(C−1)) for classes c = 0 … C−1."""

    kind: Literal["long_tail"]
    imbalance_factor: float = Field(ge=1)
    """Examples of the largest class per example of the smallest, 1 or more."""
    order: Literal["index", "seeded"] = "index"
    """From the largest class to the smallest. `index`: as the source numbers them, as published.
    `seeded`: drawn from the seed, the same for the train and the meta set."""


class LongTailBias(LongTail):
    """Class sizes of the train set fall exponentially, n_c = n_max · factor^(−c/(C−1)).

    Source: Cui et al. 2019 (arXiv:1901.05555), section 5.1, with factors from 10 to 200; CIFAR-10-LT
    at 100 keeps 5,000 images of the first class and 50 of the last, 12,406 in all.
    """

    size: Literal["matched", "as_published"] = "matched"
    """`matched`: every factor has `train_size` examples. `as_published`: the largest class keeps all its
    examples, or as many as the other classes allow, and the train set shrinks with the factor."""


class TwoClassBias(Section):
    """Only two classes, renumbered in the source's order; one is rare in the train set.

    All four sets hold only these two classes, and models have two outputs. Validation and test set
    keep the source's proportions, the meta set is balanced.

    Source: Ren et al. 2018, section 4.1: MNIST, 9 against 4, 5,000 images, up to 200 to 1, and a meta
    set of 10 (`train_size: 5000`, `meta_per_class: 5`). Their code takes the meta set out of the 5,000.
    """

    kind: Literal["two_class"]
    majority: int | str
    """The frequent class, by name or by index."""
    minority: int | str
    """The rare class, by name or by index."""
    ratio: float = Field(ge=1)
    """Majority examples per minority example of the train set, 1 or more."""

    @model_validator(mode="after")
    def _classes_differ(self) -> Self:
        if self.majority == self.minority:
            raise conflict("minority", self.minority, "it is the majority, too", "name another class")
        return self


class NoNoise(Section):
    """Labels are left as they are."""

    kind: Literal["none"] = "none"


class UniformNoise(Section):
    """A fraction of labels is flipped to another class, each equally likely.

    Source: "UniformFlip" of Ren et al. 2018, section 4.3, at rate 0.4.
    """

    kind: Literal["uniform"]
    rate: float = Field(ge=0, lt=1)
    """Fraction of labels that are flipped, from 0 to below 1."""


class BackgroundNoise(Section):
    """A fraction of the labels of all other classes is flipped to one class, whose own labels stay.

    Source: "BackgroundFlip" of Ren et al. 2018, section 4.3, at rate 0.4 with 10 clean images per class.
    """

    kind: Literal["background"]
    rate: float = Field(ge=0, lt=1)
    """Fraction of the labels of the other classes that are flipped, from 0 to below 1."""
    background: int | str = Field(default=0, alias="class")
    """The class they are flipped to, by name or by index."""


class PairNoise(Section):
    """A fraction of labels is flipped to the next class, those of the last class to the first.

    Source: "pair flipping" of Han et al. 2018 (arXiv:1804.06872), at rate 0.45.
    """

    kind: Literal["pair"]
    rate: float = Field(ge=0, lt=1)
    """Fraction of labels that are flipped, from 0 to below 1, the same for every class."""


class ClassConditionalNoise(Section):
    """Labels are drawn given the true class.

    Source: Patrini et al. 2017 (arXiv:1609.03683), section 2.
    """

    kind: Literal["class_conditional"]
    matrix: tuple[tuple[Annotated[float, Field(ge=0, le=1)], ...], ...] = Field(min_length=2)
    """Probability of each label (column) given the true class (row), both in the source's order.
    Rows sum to 1."""

    @field_validator("matrix")
    @classmethod
    def _rows_are_distributions(cls, matrix: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
        for place, row in enumerate(matrix):
            if len(row) != len(matrix):
                problem = f"{len(row)} of {len(matrix)} probabilities"
                raise conflict(f"[{place}]", list(row), problem, "give a square matrix")
            if abs(sum(row) - 1) > _ROUNDING:
                problem = f"it sums to {sum(row):g}"
                raise conflict(f"[{place}]", list(row), problem, "give probabilities that sum to 1")
        return matrix


Bias = Annotated[NoBias | DominantClassBias | LongTailBias | TwoClassBias, Field(discriminator="kind")]
MetaBias = Annotated[NoBias | DominantClass | LongTail, Field(discriminator="kind")]
LabelNoise = Annotated[
    NoNoise | UniformNoise | BackgroundNoise | PairNoise | ClassConditionalNoise, Field(discriminator="kind")
]
Noise = Annotated[LabelNoise | GaussianNoise, Field(discriminator="kind")]
