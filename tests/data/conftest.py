"""A cache folder of its own, one thread, and small Parquet tables."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from l2rw_ray.data import Source

Encode = Callable[..., bytes]
WriteTable = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("L2RW_RAY_CACHE", str(folder))
    return folder


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def pixels() -> np.ndarray:
    """Twelve images of 5×4×3, all different."""
    shape = (12, 5, 4, 3)
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1)).to(torch.uint8).numpy()


@pytest.fixture
def encode() -> Encode:
    """Encodes one array as an image, PNG by default."""

    def make(array: np.ndarray, form: str = "PNG") -> bytes:
        file = io.BytesIO()
        Image.fromarray(array).save(file, form)
        return file.getvalue()

    return make


@pytest.fixture
def write_table(tmp_path: Path) -> WriteTable:
    """Writes columns as a Parquet file, with `class_names` in its metadata where they are given."""

    def write(columns: dict[str, Any], name: str = "train.parquet", class_names: Any = None) -> Path:
        table = pa.table(columns)
        if class_names is not None:
            text = class_names if isinstance(class_names, str) else json.dumps(class_names)
            table = table.replace_schema_metadata({"class_names": text})
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        return path

    return write


@pytest.fixture
def image_table(pixels: np.ndarray, encode: Encode, write_table: WriteTable) -> Path:
    """Twelve PNG images with labels 0, 1, 2, 0, …"""
    return write_table({"image": [encode(image) for image in pixels], "label": [i % 3 for i in range(12)]})


@pytest.fixture
def make_source() -> Callable[..., Source]:
    """A source of numbered one-pixel images with the given number of examples per class."""

    def make(*counts: int, test_counts: tuple[int, ...] = ()) -> Source:
        names = tuple(f"class{index}" for index in range(len(counts)))
        test = (*_numbered(test_counts),) if test_counts else (None, None)
        return Source(*_numbered(counts), names, *test)

    return make


def _numbered(counts: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=generator)]
    return (torch.arange(len(labels)) % 256).to(torch.uint8).reshape(-1, 1, 1, 1), labels
