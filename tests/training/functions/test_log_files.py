"""Logs that TensorBoard 2.20 and wandb 0.31 wrote are read without either."""

import math
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from l2rw_ray.errors import InputError
from l2rw_ray.training.functions import log_files
from l2rw_ray.training.functions.log_files import Series, tensorboard_scalars, wandb_scalars
from l2rw_ray.training.functions.script_metrics import logged_epochs

LOGS = Path(__file__).parent / "logs"
"""Scalars of both kinds, a text and a tensor; numbers, a text, a nested key and a summary."""
EVENTS, RUN = LOGS / "events.out.tfevents.1", LOGS / "run.wandb"


def test_scalars_of_tensorboard_are_read_by_tag_and_step() -> None:
    assert tensorboard_scalars(EVENTS) == {
        "loss/validation": {0: 1.0, 10: 0.5, 20: pytest.approx(1 / 3)},
        "new": {0: 0.0, 10: 0.25, 20: 0.5},
        "double": {3: 0.1},
        "test_accuracy": {30: 0.75},
    }


def test_numbers_of_an_offline_run_are_read_by_key_and_step() -> None:
    assert wandb_scalars(RUN) == {
        "validation_loss": {0: 1.0, 1: 0.5, 2: pytest.approx(1 / 3)},
        "accuracy.validation": {0: 0.0, 1: 0.25, 2: 0.5},
        "is_good": {0: 0.0, 1: 0.0, 2: 1.0},
        "count": {0: -1.0, 1: 0.0, 2: 1.0},
        "test_accuracy": {0: 0.75},
    }


def test_an_entry_may_be_split_over_blocks(tmp_path: Path) -> None:
    """LevelDB's log format splits an entry that crosses a block of 32 kB."""
    value = b"1" + b" " * 40_000
    item = b"\x0a" + _sized(b"\x12" + _sized(b"loss") + b"\x82\x01" + _sized(value))
    entry = b"\x12" + _sized(item + b"\x12\x02\x08\x07")
    first = 32768 - 7 - 7
    parts = [(2, entry[:first]), (4, entry[first:])]
    file = tmp_path / "run.wandb"
    file.write_bytes(
        b":W&B"
        + bytes(3)
        + b"".join(bytes(4) + struct.pack("<HB", len(part), kind) + part for kind, part in parts)
    )
    assert wandb_scalars(file) == {"loss": {7: 1.0}}


def _sized(content: bytes) -> bytes:
    size, encoded = len(content), bytearray()
    while size > 127:
        encoded.append(size & 127 | 128)
        size >>= 7
    return bytes([*encoded, size]) + content


@pytest.mark.parametrize(("read", "file"), [(tensorboard_scalars, EVENTS), (wandb_scalars, RUN)])
def test_a_file_that_ends_within_a_record_is_read_up_to_there(
    read: Callable[[Path], Series], file: Path, tmp_path: Path
) -> None:
    cut, whole = tmp_path / "cut", file.read_bytes()
    seen = []
    for length in range(0, len(whole), 37):
        cut.write_bytes(whole[:length])
        seen.append(sum(map(len, read(cut).values())))
    assert seen == sorted(seen)
    assert 0 < seen[-1] <= sum(map(len, read(file).values()))


def test_logs_are_epochs_and_final_metrics() -> None:
    epochs, final = logged_epochs("tensorboard", LOGS)
    assert [metrics["new"] for metrics in epochs.values()] == [0.0, 0.25, 0.5]
    assert final == {"double": 0.1, "test_accuracy": 0.75}


def test_a_step_below_zero_is_read() -> None:
    """Protocol buffers write it in ten bytes, the most that an integer has."""
    assert log_files._varint(b"\xff" * 9 + b"\x01", 0) == (-1, 10)
    with pytest.raises(ValueError, match="more than 10 bytes"):
        log_files._varint(b"\xff" * 10 + b"\x01", 0)


@pytest.mark.filterwarnings("ignore")  # of SQLAlchemy's, about MLflow
def test_numbers_of_mlflow_are_as_they_were_logged(tmp_path: Path) -> None:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = client.create_run(client.create_experiment("e", str(tmp_path / "artifacts")))
    given = [0.5, math.nan, math.inf, -math.inf, -2.0]
    for step, value in enumerate(given):
        client.log_metric(run.info.run_id, "loss", value, step=step)
    epochs, _ = logged_epochs("mlflow", tmp_path)
    assert [repr(metrics["loss"]) for metrics in epochs.values()] == list(map(repr, given))


def test_a_log_of_something_else_is_one_line(tmp_path: Path) -> None:
    for entry, problem in (
        (b"xyz", ""),
        (b"\x80" * 20, "ValueError: no protocol buffer: an integer of more than 10"),
    ):
        header = b"x" * 7 + bytes(4) + struct.pack("<HB", len(entry), 1)
        (tmp_path / "run.wandb").write_bytes(header + entry)
        with pytest.raises(InputError, match=rf"log of the script = 'run.wandb': cannot be read \({problem}"):
            logged_epochs("wandb", tmp_path)
