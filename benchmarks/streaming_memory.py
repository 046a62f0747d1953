"""Memory and speed of a train set that is streamed through Ray Data, compared with one held in memory.

A synthetic Parquet file is made, trained on for one short epoch (l2rw with the ghost estimator), and
deleted: of JPEG images, ten times a limit once they are decoded; of 300,000 texts of 20 to 120 words; or of
as many rows of 100 numbers. Each way has a private Ray cluster and an empty cache of its own; the worker is
an actor that holds a CPU, as a worker group's is.

Memory of the worker is counted beyond that after its imports: `private` is anonymous memory,
`resident` includes mapped files, such as the cache. Readers are Ray Data's tasks, all together.

    python benchmarks/streaming_memory.py [--inputs images] [--limit-mib 200] [--window 1024]
        [--ways streamed held] [--rows 300000]
"""

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil

_MIB = 2**20
_SIDE, _CLASSES, _DIFFERENT = 96, 10, 500
_IMAGE_BYTES = _SIDE * _SIDE * 3
_TIMES_THE_LIMIT = 10
_EVERY_S = 0.2
_WORDS, _SHORTEST, _LONGEST, _NUMBERS = 30_000, 20, 120, 100
_ROWS_PER_GROUP = 1000
_SECTIONS: dict[str, dict[str, Any]] = {
    "images": {},
    "texts": {"text": "text", "max_length": 128},
    "features": {"features": [f"x{number}" for number in range(_NUMBERS)]},
}
_MODELS = {
    "images": {"name": "mlp", "width": 32},
    "texts": {"name": "embedding_bag", "width": 32},
    "features": {"name": "mlp", "width": 32},
}
_SIZES = {"meta_per_class": 10, "validation_size": 250, "test_size": 250}


def write_images(path: Path, rows: int) -> None:
    """Write images of coloured noise, a few hundred different ones repeated, with labels."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    generator = np.random.default_rng(0)
    encoded = []
    for _ in range(_DIFFERENT):
        coarse = Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        file = io.BytesIO()
        coarse.resize((_SIDE, _SIDE)).save(file, "JPEG")
        encoded.append(file.getvalue())
    schema = pa.schema({"image": pa.binary(), "label": pa.int64()})
    with pq.ParquetWriter(path, schema, use_dictionary=False, compression="none") as writer:
        for start in range(0, rows, _DIFFERENT):
            count = min(_DIFFERENT, rows - start)
            labels = generator.integers(0, _CLASSES, count)
            writer.write_table(pa.table({"image": encoded[:count], "label": labels}, schema=schema))


def write_texts(path: Path, rows: int) -> None:
    """Write texts of words that are the rarer the higher their number, with labels."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    generator = np.random.default_rng(0)
    chance = 1 / np.arange(1, _WORDS + 1)
    words = np.array([f"word{number}" for number in range(_WORDS)])
    schema = pa.schema({"text": pa.string(), "label": pa.int64()})
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, _ROWS_PER_GROUP):
            count = min(_ROWS_PER_GROUP, rows - start)
            lengths = generator.integers(_SHORTEST, _LONGEST, count)
            drawn = words[generator.choice(_WORDS, lengths.sum(), p=chance / chance.sum())]
            texts = [" ".join(own) for own in np.split(drawn, lengths.cumsum()[:-1])]
            labels = generator.integers(0, _CLASSES, count)
            writer.write_table(pa.table({"text": texts, "label": labels}, schema=schema))


def write_features(path: Path, rows: int) -> None:
    """Write rows of random numbers, with labels."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    generator, names = np.random.default_rng(0), _SECTIONS["features"]["features"]
    schema = pa.schema([*((name, pa.float64()) for name in names), ("label", pa.int64())])
    with pq.ParquetWriter(path, schema, use_dictionary=False) as writer:
        for start in range(0, rows, _ROWS_PER_GROUP):
            count = min(_ROWS_PER_GROUP, rows - start)
            columns = dict(zip(names, generator.normal(size=(len(names), count)), strict=True))
            labels = generator.integers(0, _CLASSES, count)
            writer.write_table(pa.table({**columns, "label": labels}, schema=schema))


@dataclass
class Peak:
    """Largest of what a function returned while the block ran, by name."""

    sample: Callable[[], dict[str, float]]
    found: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Sample several times a second."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(_EVERY_S):
                for name, value in self.sample().items():
                    self.found[name] = max(self.found.get(name, 0.0), value)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def own_memory() -> dict[str, float]:
    """Resident and anonymous memory of this process in MiB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    names = {"resident": "VmRSS", "private": "RssAnon"}
    return {name: int(lines[key].split()[0]) * 1024 / _MIB for name, key in names.items()}


def train(table: str, inputs: str, way: str, window: int) -> dict[str, float]:
    """Load, split and train one epoch in this process, a worker of Ray."""
    from l2rw_ray.config import parse_study
    from l2rw_ray.data import load_source, make_splits
    from l2rw_ray.events import EpochCompleted, Event, TrialEnded, Verdict
    from l2rw_ray.orchestration.workers.row_stream import read_through_ray_data
    from l2rw_ray.planning.plan import plan_study
    from l2rw_ray.training import TrainingOptions, train_trial

    stream = {"stream": {"window": window, "in_memory": way == "held"}}
    trial = {
        "data": {"source": "parquet", "train": table, **_SECTIONS[inputs], **_SIZES, **stream},
        "model": _MODELS[inputs],
        "method": {"name": "l2rw", "estimator": "ghost", "meta_batch_size": 16},
        "optim": {"name": "sgd", "lr": 0.01, "batch_size": 64, "epochs": 1},
        "measurement": {"probe_rounds": 0},
    }
    design = {"kind": "grid", "factors": {"method.name": ["l2rw"]}}
    spec = parse_study({"name": "memory", "question": "?", "trial": trial, "design": design, "seeds": 1})
    planned = plan_study(spec)[0]
    warm_up()
    results: dict[str, float] = {}

    def emit(event: Event) -> Verdict:
        if isinstance(event, EpochCompleted):
            results["epoch_s"] = event.duration_s
        elif isinstance(event, TrialEnded):
            results["waiting_s"] = event.metrics["time_data_s"]
        return Verdict.CONTINUE

    before, peak, started = own_memory(), Peak(own_memory), perf_counter()
    with peak.watching():
        splits = make_splits(load_source(planned.config.data), planned.config.data, planned.seed)
        results["load_s"] = perf_counter() - started
        train_trial(planned, splits, emit, TrainingOptions(read_parts=read_through_ray_data))
    results["examples"] = len(splits.train)
    results |= {f"{name}_mib": most - before[name] for name, most in peak.found.items()}
    return results | {"base_mib": before["private"]}


def warm_up() -> None:
    """Make torch import what it imports for the first optimiser and the first step."""
    import torch

    layer = torch.nn.Linear(_IMAGE_BYTES, 32)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    layer(torch.zeros(64, _IMAGE_BYTES)).sum().backward()
    optimizer.step()


def beside() -> dict[str, float]:
    """Anonymous memory of Ray Data's tasks, and what lies in Ray's object store, in MiB."""
    import ray
    from ray._private.internal_api import get_memory_info_reply, get_state_from_address

    readers = 0
    for process in psutil.Process().children(recursive=True):
        try:
            if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::Read"):
                memory = process.memory_info()
                readers += memory.rss - memory.shared
        except psutil.NoSuchProcess:
            continue
    state = get_state_from_address(ray.get_runtime_context().gcs_address)
    used = get_memory_info_reply(state).store_stats.object_store_bytes_used
    return {"readers_mib": readers / _MIB, "object_store_mib": used / _MIB}


def measure_one(table: str, inputs: str, way: str, window: int) -> dict[str, float]:
    """Run one way on a private cluster with the CPUs of two workers, one of them held by the worker."""
    from l2rw_ray.orchestration.cluster.ray_cluster import ray_cluster

    peak = Peak(beside)
    with ray_cluster(None):
        import ray

        worker = ray.remote(num_cpus=os.cpu_count() or 1)(train)
        with peak.watching():
            results: dict[str, float] = ray.get(worker.remote(table, inputs, way, window))
    return results | peak.found


def in_fresh_process(table: Path, way: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the results of one way, with a cache of its own."""
    command = [sys.executable, __file__, "--once", str(table), "--inputs", options.inputs]
    command += ["--ways", way, "--window", str(options.window)]
    with tempfile.TemporaryDirectory(dir=table.parent) as cache:
        environment = os.environ | {"L2RW_RAY_CACHE": cache}
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    results: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return results


def write_table(file: Path, options: argparse.Namespace) -> str:
    """Write the table, and return what it holds, in words."""
    import pyarrow.parquet as pq

    rows = options.rows
    if options.inputs == "images":
        rows = _TIMES_THE_LIMIT * options.limit_mib * _MIB // _IMAGE_BYTES
        write_images(file, rows)
        held_bytes = rows * _IMAGE_BYTES
    else:
        (write_texts if options.inputs == "texts" else write_features)(file, rows)
        held_bytes = sum(batch.nbytes for batch in pq.ParquetFile(file).iter_batches(_ROWS_PER_GROUP))
    file_mib = file.stat().st_size / _MIB
    return f"{rows} {options.inputs}, {held_bytes / _MIB:.0f} MiB in memory, {file_mib:.0f} MiB on disk"


def show(found: dict[str, dict[str, float]], limit_mib: int) -> None:
    """Print the table, and whether the streamed worker stayed below the limit."""
    columns = (
        "private_mib",
        "resident_mib",
        "readers_mib",
        "object_store_mib",
        "load_s",
        "epoch_s",
        "waiting_s",
    )
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print(f"| train set | {' | '.join(columns)} | examples/s |\n|{'---|' * (len(columns) + 2)}")
    for way, results in found.items():
        speed = results["examples"] / results["epoch_s"]
        print(f"| {way} | {' | '.join(f'{results[name]:.0f}' for name in columns)} | {speed:.0f} |")
    if "streamed" in found:
        most_mib = found["streamed"]["private_mib"]
        verdict = "met" if most_mib < limit_mib else "NOT MET"
        print(f"\nstreamed: {most_mib:.0f} MiB, limit {limit_mib}: {verdict}")


def main() -> None:
    """Measure both ways and print a table, or one way's results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--limit-mib", type=int, default=200, help="memory that a streamed worker may take")
    parser.add_argument("--window", type=int, default=1024, help="rows that are shuffled together")
    parser.add_argument("--inputs", choices=list(_SECTIONS), default="images", help="what the rows hold")
    parser.add_argument("--rows", type=int, default=300_000, help="of texts or features")
    parser.add_argument("--ways", nargs="+", choices=["streamed", "held"], default=["streamed", "held"])
    parser.add_argument("--once", metavar="TABLE", help="measure the first way on this file, print JSON")
    options = parser.parse_args()
    if options.once:
        print(json.dumps(measure_one(options.once, options.inputs, options.ways[0], options.window)))
        return
    folder = Path(tempfile.mkdtemp(prefix="streaming_memory_"))
    try:
        file = folder / f"{options.inputs}.parquet"
        print(write_table(file, options))
        show({way: in_fresh_process(file, way, options) for way in options.ways}, options.limit_mib)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
