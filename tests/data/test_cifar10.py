from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch

from l2rw_ray.config.data import Cifar10Data
from l2rw_ray.data import load_source
from l2rw_ray.errors import DataError

PIXELS = np.arange(2 * 32 * 32 * 3, dtype=np.uint8).reshape(2, 32, 32, 3)


class FakeCifar10:
    """Two images per file; there once the folder is, which a download makes."""

    failure: Exception | None = None

    def __init__(self, root: Path, train: bool, download: bool = False) -> None:
        if download and self.failure:
            raise self.failure
        folder = Path(root) / "cifar-10-batches-py"
        if download:
            folder.mkdir()
        if not folder.is_dir():
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        self.data = PIXELS if train else PIXELS[::-1].copy()
        self.targets = [3, 5] if train else [5, 3]
        self.classes = [f"name{index}" for index in range(10)]


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr("torchvision.datasets.CIFAR10", type("Fake", (FakeCifar10,), {}))
    import torchvision.datasets

    return torchvision.datasets.CIFAR10


def test_images_become_channels_first_bytes(fake, tmp_path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    source = load_source(Cifar10Data(source="cifar10", root=str(tmp_path)))
    assert source.inputs.dtype == torch.uint8
    assert torch.equal(source.inputs, torch.from_numpy(PIXELS.transpose(0, 3, 1, 2).copy()))
    assert torch.equal(source.test_inputs, source.inputs.flip(0))
    assert source.labels.dtype == torch.int64
    assert source.labels.tolist() == [3, 5]
    assert source.test_labels.tolist() == [5, 3]
    assert source.class_names[9] == "name9"


def test_home_is_expanded(fake, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data" / "cifar-10-batches-py").mkdir(parents=True)
    assert len(load_source(Cifar10Data(source="cifar10")).labels) == 2


def test_a_missing_folder_is_one_line_that_says_how_to_get_it(tmp_path) -> None:
    with pytest.raises(DataError) as caught:
        load_source(Cifar10Data(source="cifar10", root=str(tmp_path)))
    message = str(caught.value)
    assert "\n" not in message
    for part in ("trial.data.root", "cifar-10-batches-py", "trial.data.download to true", "source parquet"):
        assert part in message


def test_a_download_ends_in_the_root_and_leaves_nothing_else(fake, tmp_path) -> None:
    config = Cifar10Data(source="cifar10", root=str(tmp_path / "new"), download=True)
    assert load_source(config).labels.tolist() == [3, 5]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["cifar-10-batches-py"]


def test_what_is_there_is_not_downloaded_again(fake, tmp_path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    fake.failure = AssertionError("downloaded")
    load_source(Cifar10Data(source="cifar10", root=str(tmp_path), download=True))


@pytest.mark.parametrize("failure", [URLError("no network"), RuntimeError("File not found or corrupted.")])
def test_a_failed_download_is_one_line(fake, tmp_path, failure) -> None:
    fake.failure = failure
    with pytest.raises(
        DataError, match=r"trial\.data\.download = True: the download into .* by hand"
    ) as caught:
        load_source(Cifar10Data(source="cifar10", root=str(tmp_path), download=True))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
