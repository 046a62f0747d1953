"""Evidence and predictions that a trial keeps for each example.

Shape suffixes: N examples, K most probable classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from l2rw_ray.data import ExampleSet, ReadParts, Splits, read_here
from l2rw_ray.data.splits.splits import ReadTexts
from l2rw_ray.training.examples.evidence import ExampleEvidence
from l2rw_ray.training.examples.predictions import Predictions, predict
from l2rw_ray.training.examples.thumbnails import thumbnails
from l2rw_ray.training.ranks import Ranks

MAX_PREVIEWS = 150
"""Thumbnails or texts kept of the train set, and of the examples that were not trained on."""
MAX_CHARACTERS = 500
"""Most characters kept of a text."""


@dataclass(frozen=True, kw_only=True)
class TrialExamples:
    """Evidence of one trial on its train examples, and on those that it could have trained on.

    Attributes:
        class_names: Name of each class; of a regression of each stratum.
        rows_N: Row in the source, int64.
        ids: Name of each row.
        given_N: Class as labelled, int64; of a regression the stratum.
        targets_N: Target as given, float32; NaN for classes.
        is_wrong_N: Whether the label is known to be wrong (1) or right (0); −1 where nobody knows, int8.
        is_trained_N: Whether the model was trained on it; else its prediction is out of sample.
        evidence: Means over the later half of training by name, as `ExampleEvidence.summarise` returns them,
            float32 [N], NaN where there are none.
        predictions: What the final model predicts.
        thumbnails: Images as PNG, by position: of those that the model contradicts most.
        texts: Beginnings of texts, by position: of the same.
    """

    class_names: tuple[str, ...]
    rows_N: np.ndarray
    ids: tuple[str, ...]
    given_N: np.ndarray
    targets_N: np.ndarray
    is_wrong_N: np.ndarray
    is_trained_N: np.ndarray
    evidence: dict[str, np.ndarray]
    predictions: Predictions
    thumbnails: dict[int, bytes]
    texts: dict[int, str]


KeepExamples = Callable[[TrialExamples], None]
"""Stores what a trial keeps; raises OSError where it cannot."""


def collect_examples(
    model: nn.Module,
    splits: Splits,
    evidence: ExampleEvidence,
    ranks: Ranks,
    step: int,
    read_parts: ReadParts = read_here,
) -> TrialExamples:
    """Collect the evidence of a finished trial on its examples; all ranks call this together.

    Args:
        model: The trained model.
        splits: The trial's data.
        evidence: What was collected in training.
        ranks: The trial's workers.
        step: Steps made, for error messages.
        read_parts: Reads images that are streamed.

    Raises:
        NonFiniteError: An output of the model is NaN or infinite.
    """
    sets = [splits.train]
    if splits.untrained is not None and len(splits.untrained):
        sets.append(splits.untrained)
    parts = [predict(model, examples, ranks, step, read_parts) for examples in sets]
    predictions = Predictions.joined(parts, np.arange(sum(map(len, sets))))
    trained, others = len(splits.train), sum(map(len, sets[1:]))
    shown = [_contradicted(*each)[:MAX_PREVIEWS] for each in zip(sets, parts, strict=True)]
    means = {name: values_N.numpy() for name, values_N in evidence.summarise().items()}
    unknown = np.full(others, np.nan, dtype=np.float32)
    return TrialExamples(
        class_names=tuple(splits.class_names),
        rows_N=_joined([examples.rows for examples in sets]),
        ids=tuple(name for examples in sets for name in examples.identities(torch.arange(len(examples)))),
        given_N=_joined([examples.labels for examples in sets]),
        targets_N=np.concatenate([_targets(examples) for examples in sets]),
        is_wrong_N=np.concatenate([_known_errors(splits.train), np.full(others, -1, dtype=np.int8)]),
        is_trained_N=np.arange(trained + others) < trained,
        evidence={name: np.concatenate([values_N, unknown]) for name, values_N in means.items()},
        predictions=predictions,
        thumbnails=_thumbnails(sets, shown, read_parts) if ranks.leads else {},
        texts=_texts(sets, shown, splits.texts),
    )


def stored_examples(keep: KeepExamples, found: TrialExamples) -> tuple[str, ...]:
    """Store what was collected. Returns a warning where that failed."""
    try:
        keep(found)
    except OSError as error:
        reason = error.strerror or error
        return (f"evidence on its labels could not be saved ({reason}): check the study folder",)
    return ()


def _thumbnails(
    sets: Sequence[ExampleSet], shown: Sequence[np.ndarray], read_parts: ReadParts
) -> dict[int, bytes]:
    """Return thumbnails of some positions of each set, by the position in all sets together."""
    found: dict[int, bytes] = {}
    start = 0
    for examples, places in zip(sets, shown, strict=True):
        images = thumbnails(examples, torch.from_numpy(places), read_parts)
        found |= {start + place: image for place, image in images.items()}
        start += len(examples)
    return found


def _texts(
    sets: Sequence[ExampleSet], shown: Sequence[np.ndarray], texts: ReadTexts | None
) -> dict[int, str]:
    """Return the beginnings of some texts as `_thumbnails` does images; none of other inputs."""
    found: dict[int, str] = {}
    start = 0
    for examples, places in zip(sets if texts else (), shown, strict=False):
        assert texts is not None
        rows = examples.rows.cpu()[torch.from_numpy(places)]
        beginnings = (text[:MAX_CHARACTERS] for text in texts(rows))
        found |= dict(zip((start + places).tolist(), beginnings, strict=True))
        start += len(examples)
    return found


def _contradicted(examples: ExampleSet, predictions: Predictions) -> np.ndarray:
    """Return positions in a set, int64 [N], those first whose label the predictions contradict most."""
    if examples.targets is not None:
        return np.argsort(-np.abs(_targets(examples) - predictions.values_N), kind="stable")
    is_given_NK = predictions.classes_NK == examples.labels.cpu().numpy()[:, None]
    given_N = (predictions.probabilities_NK * is_given_NK).sum(axis=1)
    return np.argsort(given_N, kind="stable")


def _targets(examples: ExampleSet) -> np.ndarray:
    if examples.targets is None:
        return np.full(len(examples), np.nan, dtype=np.float32)
    found: np.ndarray = examples.targets.float().cpu().numpy()
    return found


def _known_errors(train: ExampleSet) -> np.ndarray:
    """Return 1 for labels known to be wrong, 0 for those known to be right, −1 for others, int8 [N].

    Where no label is wrong, it is rather that none was verified, and nothing is known.
    """
    wrong_N: np.ndarray = train.corrupted.cpu().numpy()
    right_N: np.ndarray = train.clean.cpu().numpy()
    known_N = np.where(wrong_N, 1, np.where(right_N, 0, -1)).astype(np.int8)
    return known_N if wrong_N.any() or train.unverified is not None else np.full_like(known_N, -1)


def _joined(parts: list[torch.Tensor]) -> np.ndarray:
    found: np.ndarray = torch.cat([part.cpu() for part in parts]).numpy()
    return found
