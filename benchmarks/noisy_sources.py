"""Sources whose labels are given wrong in part, the same for every seed, and whose truth is known.

Trials name them by import path, `noisy_sources:digits`; `wrong_labels.py` measures who finds the errors.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from l2rw_ray.data import Source

_TEXT_FEATURES = 200


def digits(kind: str, rate: float = 0.3) -> Source:
    """Return scikit-learn's digits with simulated errors.

    Args:
        kind: `uniform` replaces a label by any other one, `class_conditional` by the next class.
        rate: Share of wrong labels.
    """
    bunch, rng = load_digits(), np.random.default_rng(0)
    clean = bunch.target
    step = rng.integers(1, 10, len(clean)) if kind == "uniform" else np.ones(len(clean), dtype=int)
    given = np.where(rng.random(len(clean)) < rate, (clean + step) % 10, clean)
    images = (bunch.images[:, None] * 15.9375).astype(np.uint8)
    return Source(
        inputs=torch.from_numpy(images),
        labels=torch.from_numpy(clean).long(),
        train_labels=torch.from_numpy(given).long(),
        class_names=tuple(map(str, range(10))),
    )


def news(path: str) -> Source:
    """Return NoisyAG-News as TF-IDF of words and pairs of words, projected on 200 directions.

    Args:
        path: `noisy_agnews_train.parquet`, whose `label` people gave and whose `clean_label` is right.
    """
    table = pq.read_table(Path(path))
    names = table.schema.metadata[b"classes"].decode().split(",")
    words = TfidfVectorizer(sublinear_tf=True, min_df=3, ngram_range=(1, 2), stop_words="english")
    counts = words.fit_transform(table["text"].to_pylist())
    features = TruncatedSVD(_TEXT_FEATURES, random_state=0).fit_transform(counts)
    return Source(
        inputs=torch.from_numpy(features.astype(np.float32)),
        labels=torch.from_numpy(table["clean_label"].to_numpy().astype(np.int64)),
        train_labels=torch.from_numpy(table["label"].to_numpy().astype(np.int64)),
        class_names=tuple(names),
    )
