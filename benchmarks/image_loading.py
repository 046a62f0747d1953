"""Images per second that reach a step, beside torch's DataLoader with as many worker processes.

JPEG files of 224×224 in a folder per class, changed by RandomResizedCrop and RandomHorizontalFlip. The plain
side is a DataLoader of torchvision's ImageFolder, which decodes each image in each pass. A trial decodes once
(`first`: images per second of loading and the first pass together), or, streamed from a Parquet file of the
same images by Ray Data, in each pass (`streamed`). Passes of both sides alternate; nothing is trained. CPU
time is that of this process, so without worker processes of all work.

    python benchmarks/image_loading.py [--workers 0 1 2] [--images 1500] [--rounds 7] [--no-streamed]
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

SIDE, CLASSES, BATCH = 224, 10, 64
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
CHANGES = {
    "train": [{"name": "RandomResizedCrop", "size": SIDE}, "RandomHorizontalFlip"],
    "evaluate": [{"name": "CenterCrop", "size": SIDE}],
}
TARGET = 1.0
"""Smallest ratio of images per second."""


def write_images(folder: Path, count: int) -> None:
    """Write JPEG files of smooth noise, a folder per class, and the same as one Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    generator = torch.Generator().manual_seed(0)
    for number in range(count):
        coarse = torch.rand(1, 3, 28, 28, generator=generator)
        smooth = torch.nn.functional.interpolate(coarse, size=SIDE, mode="bicubic")[0].clamp(0, 1)
        file = folder / "files" / str(number % CLASSES) / f"{number:05}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        v2.functional.to_pil_image(smooth).save(file, quality=90)
    files = sorted((folder / "files").rglob("*.jpg"))
    columns = {
        "image": [file.read_bytes() for file in files],
        "label": [int(file.parent.name) for file in files],
    }
    pq.write_table(pa.table(columns), folder / "images.parquet", row_group_size=256)


def plain_epoch(folder: Path, num_workers: int) -> int:
    """Go through the files as one would write it down. Returns how many images came."""
    steps = [v2.RandomResizedCrop(SIDE), v2.RandomHorizontalFlip(), v2.ToImage()]
    change = v2.Compose([*steps, v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    images = ImageFolder(folder / "files", change)
    return sum(len(x) for x, _ in DataLoader(images, BATCH, shuffle=True, num_workers=num_workers))


class TrialData:
    """The train set of a trial, that of all files but four for each class."""

    def __init__(self, folder: Path, *, streamed: bool) -> None:
        from l2rw_ray.config.data.sources import ImageFolderData, ParquetData
        from l2rw_ray.data import load_source, make_splits, read_here

        fields: dict[str, Any] = {
            "meta_per_class": 2,
            "test_size": 2 * CLASSES,
            "transforms": CHANGES,
            "normalize": {"mean": MEAN, "std": STD},
        }
        self._read_parts, self._passes = read_here, 0
        if streamed:
            from l2rw_ray.orchestration.workers.row_stream import read_through_ray_data

            self._read_parts = read_through_ray_data
            fields |= {
                "source": "parquet",
                "train": str(folder / "images.parquet"),
                "stream": {"window": 512},
            }
            config: Any = ParquetData.model_validate(fields)
        else:
            config = ImageFolderData.model_validate(
                {"source": "image_folder", "train": str(folder / "files"), **fields}
            )
        self._train = make_splits(load_source(config), config, 0).train

    def epoch(self, num_workers: int) -> int:
        """Go through the train set as the trainer does. Returns how many images came."""
        from l2rw_ray.data import epoch_batches

        self._passes += 1
        batches = epoch_batches(
            self._train, BATCH, 0, self._passes, read_parts=self._read_parts, num_workers=num_workers
        )
        with closing(batches):
            return sum(len(batch.x) for batch in batches)


def first_epoch(folder: Path, num_workers: int) -> int:
    """Decode all images, and go through the train set."""
    return TrialData(folder, streamed=False).epoch(num_workers)


class Pass(NamedTuple):
    """What a pass took.

    Attributes:
        images_per_s: Images per second.
        cpu_ms: CPU time of this process per image, in milliseconds.
    """

    images_per_s: float
    cpu_ms: float


def timed(epoch: Callable[..., int], *arguments: Any) -> Pass:
    """Time a pass."""
    started, started_s = perf_counter(), process_time()
    count = epoch(*arguments)
    return Pass(count / (perf_counter() - started), (process_time() - started_s) * 1000 / count)


@contextmanager
def empty_cache(folder: Path) -> Iterator[None]:
    """Let nothing be decoded yet."""
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        os.environ["L2RW_RAY_CACHE"] = cache
        yield


def measure(folder: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the medians of the rounds of each way and number of workers."""
    ways: dict[str, Callable[[int], int]] = {}
    with empty_cache(folder):
        ways["held"] = TrialData(folder, streamed=False).epoch
        if options.streamed:
            ways["streamed"] = TrialData(folder, streamed=True).epoch
    for num_workers in options.workers:
        found: dict[str, list[tuple[Pass, Pass]]] = {name: [] for name in [*ways, "first"]}
        for _ in range(options.rounds):
            plain = timed(plain_epoch, folder, num_workers)
            for name, epoch in ways.items():
                found[name].append((timed(epoch, num_workers), plain))
            with empty_cache(folder):
                found["first"].append((timed(first_epoch, folder, num_workers), plain))
        for name, pairs in found.items():
            yield {"way": name, "num_workers": num_workers, **summary(pairs)}


def summary(pairs: Sequence[tuple[Pass, Pass]]) -> dict[str, Any]:
    """Return medians of rounds, and the ratios of images per second."""
    ratios = sorted(own.images_per_s / plain.images_per_s for own, plain in pairs)
    return {
        "images_per_s": round(median(own.images_per_s for own, _ in pairs)),
        "plain_images_per_s": round(median(plain.images_per_s for _, plain in pairs)),
        "cpu_ms": round(median(own.cpu_ms for own, _ in pairs), 2),
        "plain_cpu_ms": round(median(plain.cpu_ms for _, plain in pairs), 2),
        "ratio": round(median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
        "is_met": median(ratios) >= TARGET,
    }


def main() -> None:
    """Print the results as JSON, a line for each way and number of workers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="processes of both sides")
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--streamed", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="image_loading_") as name:
        write_images(Path(name), options.images)
        if options.streamed:
            from l2rw_ray.orchestration.cluster.ray_cluster import ray_cluster

            with ray_cluster(None):
                for line in measure(Path(name), options):
                    print(json.dumps(line), flush=True)
        else:
            for line in measure(Path(name), options):
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
