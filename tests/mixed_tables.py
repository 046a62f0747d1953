"""A table of texts, numbers and categories that say something about a label."""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

INPUTS: dict[str, dict[str, Any]] = {
    "texts": {"text": "text", "max_length": 8, "tokenizer": {"min_frequency": 1}},
    "features": {"features": ["a", "b"], "missing": "mean"},
    "categories": {"features": ["a", "b"], "missing": "mean", "categorical": ["kind"]},
}
"""What names each kind of input in a `data` section."""
MODELS: dict[str, dict[str, Any]] = {
    "texts": {"name": "embedding_bag", "width": 8},
    "features": {"name": "mlp", "width": 8},
    "categories": {"name": "mlp", "width": 8},
}
"""A model for each of them."""
_WORDS = (("goal", "match", "team", "coach"), ("bank", "stock", "price", "market"))


def write_rows(path: Path, rows: int) -> str:
    """Write rows of two classes in row groups of 50; returns the path."""
    draw = random.Random(0)
    labels = [draw.randrange(2) for _ in range(rows)]

    def text(label: int) -> str:
        topics = (label if draw.random() < 0.7 else draw.randrange(2) for _ in range(draw.randint(2, 11)))
        return " ".join(draw.choice(_WORDS[topic]) for topic in topics)

    columns = {
        "label": labels,
        "text": [text(label) for label in labels],
        "a": [label + draw.gauss(0, 1) for label in labels],
        "b": [None if draw.random() < 0.1 else draw.random() for _ in labels],
        "kind": [draw.choice(("x", "y", None) if label else ("y", "z", None)) for label in labels],
    }
    pq.write_table(pa.table(columns), path, row_group_size=50)
    return str(path)
