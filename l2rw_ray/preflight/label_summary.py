"""What is known of a source's labels: which are verified, how others differ, and which sets have them."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from l2rw_ray.config.data.sources import Data
from l2rw_ray.data import Source
from l2rw_ray.data.known_noise import known_noise
from l2rw_ray.data.source import NO_CLASS
from l2rw_ray.events import KnownNoise
from l2rw_ray.statistics.proportion import proportion_interval


@dataclass(frozen=True)
class LabelSummary:
    """Labels, or targets, of a source of which some are verified.

    Attributes:
        examples: Number of examples, but for those of a test file.
        given: Number of examples with a given label of each class.
        verified: Number of examples with a verified label of each class.
        noise: How the two differ; None where no example has both.
    """

    examples: int
    given: tuple[int, ...]
    verified: tuple[int, ...]
    noise: KnownNoise | None

    @property
    def rate_interval(self) -> tuple[float, float]:
        """The 95 % interval of the share of wrong labels, if those that are known are a random sample."""
        assert self.noise is not None
        return proportion_interval(self.noise.wrong, self.noise.examples)


def label_summary(source: Source) -> LabelSummary | None:
    """Return what is known of a source's labels; None where all count as right."""
    if source.verified is None and source.train_labels is None:
        return None
    labels, classes = source.labels, len(source.class_names)
    verified = labels if source.verified is None else labels[source.verified]
    given = source.given_labels
    if source.train_targets is not None:
        given = labels[~source.train_targets.isnan()]
    return LabelSummary(len(labels), _counts(given, classes), _counts(verified, classes), known_noise(source))


def set_origins(config: Data, source: Source) -> Mapping[str, str]:
    """Return where each of the four sets comes from, by its name; empty where all come from one pool.

    Args:
        config: The section.
        source: Its source.
    """
    own_test = source.test_labels is not None
    if source.verified is None and not source.pools and not own_test:
        return {}
    verified = "the verified examples" if source.verified is not None else "all examples"
    origins = dict.fromkeys(("meta", "validation", "test"), verified)
    origins |= {name: f"{given}, for it alone" for name, given in config.set_files.items()}
    if config.selects_by_given:
        if "validation" not in source.pools:
            origins["validation"] = "the examples without a verified label"
        origins["validation"] += "; nobody verified its labels, so selection sees noise"
    if own_test:
        origins["test"] = f"{getattr(config, 'test', None) or 'the test file of the source'}, for it alone"
    return {"train": _train_origin(config, source), **origins}


def scarce_classes(config: Data, source: Source) -> tuple[str, ...]:
    """Return the classes with fewer verified examples than the sets drawn from them want of each.

    They want `meta_per_class` for the meta set, and one each for the validation and the test set.
    """
    if source.verified is None or source.targets is not None:
        return ()
    wanted = 0 if "meta" in source.pools else config.meta_per_class or 0
    wanted += source.test_labels is None
    wanted += (
        bool(config.validation_size) and "validation" not in source.pools and not config.selects_by_given
    )
    own = source.verified.clone()
    for rows in source.pools.values():
        own[rows.start : rows.stop] = False
    found = _counts(source.labels[own], len(source.class_names))
    return tuple(
        f"{name} ({count} of {wanted})"
        for name, count in zip(source.class_names, found, strict=True)
        if count < wanted
    )


def _train_origin(config: Data, source: Source) -> str:
    if source.verified is None:
        return "what the others leave"
    label = "label" if source.targets is None else "target"
    if config.trains_on_verified:
        return f"what the others leave, with its verified {label} where it has one"
    return f"what the others leave, with its given {label}; without one it does not train"


def _counts(labels: Tensor, classes: int) -> tuple[int, ...]:
    return tuple(labels[labels != NO_CLASS].bincount(minlength=classes).tolist())
