"""What is told of a local copy, with torchvision's own checksums and with made-up ones."""

import gzip
import hashlib
import shutil
from pathlib import Path

import pytest
import torchvision.datasets

from l2rw_ray.config.data.sources import Cifar10Data, DigitsData, ImageFolderData, MnistData, ParquetData
from l2rw_ray.data.sources.local_copy import describe_copy
from l2rw_ray.errors import DataError


@pytest.fixture
def mnist(tmp_path, monkeypatch) -> MnistData:
    """Four packed files and what they hold, with checksums of their own."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    resources = []
    for name, _ in torchvision.datasets.MNIST.resources:
        content = name.encode() * 50
        packed = gzip.compress(content)
        (raw / name).write_bytes(packed)
        (raw / name).with_suffix("").write_bytes(content)
        resources.append((name, hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr("torchvision.datasets.MNIST.resources", resources)
    return MnistData(source="mnist", root=str(tmp_path))


def test_packed_files_are_compared_with_what_is_published(mnist) -> None:
    assert describe_copy(mnist) == "4 of 4 files match their published MD5"
    for path in Path(mnist.root).rglob("*.gz"):
        path.unlink()
    assert "there is no published MD5 to compare" in describe_copy(mnist)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("t10k-labels-idx1-ubyte.gz", b"damaged", "t10k-labels-idx1-ubyte.gz has MD5"),
        ("train-images-idx3-ubyte", b"damaged", "is not what train-images-idx3-ubyte.gz holds"),
        ("train-images-idx3-ubyte", None, "train-images-idx3-ubyte is missing"),
    ],
)
def test_a_damaged_file_is_named(mnist, name, content, part) -> None:
    path = Path(mnist.root) / "MNIST" / "raw" / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match="holds no whole MNIST") as caught:
        describe_copy(mnist)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cifar_names_what_is_missing(tmp_path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    with pytest.raises(DataError, match="data_batch_1 is missing"):
        describe_copy(Cifar10Data(source="cifar10", root=str(tmp_path)))


def test_tables_and_folders_are_counted(image_table, tmp_path) -> None:
    test = shutil.copy(image_table, tmp_path / "test.parquet")
    config = ParquetData(source="parquet", train=str(image_table), test=str(test))
    assert describe_copy(config).startswith("train 12 rows in 1 file of 0.0 MB; test 12 rows")
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "photos" / "cat" / "a.png").touch()
    folder = ImageFolderData(source="image_folder", train=str(tmp_path / "photos"))
    assert describe_copy(folder) == "train 1 images"
    assert describe_copy(DigitsData(source="digits")) == "comes with scikit-learn"
