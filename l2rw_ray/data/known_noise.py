"""The label noise of a source that is known: where the given and the verified label are both there.

Shape suffixes: N examples, K with both, C classes.
"""

from dataclasses import replace

from l2rw_ray.data.examples import ExampleSet
from l2rw_ray.data.source import NO_CLASS, Source
from l2rw_ray.events import ConfusionMatrix, KnownNoise


def known_noise(source: Source) -> KnownNoise | None:
    """Compare what was given with what was verified; None where nothing was given apart from it.

    Verified examples may be no random sample: where an expert looked at doubtful labels first, the rate is
    higher than that of the others.
    """
    if source.train_targets is not None and source.targets is not None:
        return _of_targets(source)
    return None if source.train_labels is None else _of_labels(source)


def within_train(noise: KnownNoise | None, train: ExampleSet) -> KnownNoise | None:
    """Return the known noise with the numbers of train examples of which it is known."""
    if noise is None:
        return None
    wrong, right = int(train.corrupted.sum()), int(train.clean.sum())
    return replace(noise, train_examples=right + wrong, train_wrong=wrong)


def _of_labels(source: Source) -> KnownNoise | None:
    both_N = (source.given_labels != NO_CLASS) & (source.labels != NO_CLASS)
    if source.verified is not None:
        both_N &= source.verified
    true_K, given_K, classes = source.labels[both_N], source.given_labels[both_N], len(source.class_names)
    if not len(true_K):
        return None
    counts_CC = (true_K * classes + given_K).bincount(minlength=classes**2).reshape(classes, classes)
    wrong = len(true_K) - int(counts_CC.diagonal().sum())
    confusion = ConfusionMatrix(tuple(source.class_names), tuple(map(tuple, counts_CC.tolist())))
    return KnownNoise(len(true_K), wrong, confusion)


def _of_targets(source: Source) -> KnownNoise | None:
    assert source.targets is not None
    assert source.train_targets is not None
    both_N = ~source.train_targets.isnan()
    if source.verified is not None:
        both_N &= source.verified
    off_K = (source.train_targets - source.targets)[both_N].double()
    if not len(off_K):
        return None
    return KnownNoise(len(off_K), int((off_K != 0).sum()), rmse=float(off_K.square().mean().sqrt()))
