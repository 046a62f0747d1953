"""The label noise of a source that is known: where the given and the verified label are both there.

Shape suffixes: N examples, C classes.
"""

from dataclasses import dataclass

from l2rw_ray.data.source import NO_CLASS, Source


@dataclass(frozen=True)
class KnownNoise:
    """How given labels, or targets, differ from verified ones.

    Attributes:
        examples: Number of examples with both.
        wrong: How many of them were given another label, or target, than the verified one.
        counts: Examples by verified class (row) and given class (column); None for a regression.
        rmse: Root of the mean squared difference of targets, in their unit; None for classes.
    """

    examples: int
    wrong: int
    counts: tuple[tuple[int, ...], ...] | None = None
    rmse: float | None = None

    @property
    def rate(self) -> float:
        """Share of wrong ones among the examples with both."""
        return self.wrong / self.examples if self.examples else 0.0


def known_noise(source: Source) -> KnownNoise | None:
    """Compare what was given with what was verified; None where nothing was given apart from it.

    Verified examples may be no random sample: where an expert looked at doubtful labels first, the rate is
    too high for the others.
    """
    if source.train_targets is not None and source.targets is not None:
        both_N = ~source.train_targets.isnan()
        if source.verified is not None:
            both_N = both_N & source.verified
        off = (source.train_targets - source.targets)[both_N].double()
        rmse = float(off.square().mean().sqrt()) if len(off) else 0.0
        return KnownNoise(len(off), int((off != 0).sum()), rmse=rmse) if len(off) else None
    if source.train_labels is None:
        return None
    both_N = (source.train_labels != NO_CLASS) & (source.labels != NO_CLASS)
    if source.verified is not None:
        both_N = both_N & source.verified
    true_K, given_K, classes = source.labels[both_N], source.train_labels[both_N], len(source.class_names)
    if not len(true_K):
        return None
    counts_CC = (true_K * classes + given_K).bincount(minlength=classes**2).reshape(classes, classes)
    wrong = len(true_K) - int(counts_CC.diagonal().sum())
    return KnownNoise(len(true_K), wrong, tuple(map(tuple, counts_CC.tolist())))
