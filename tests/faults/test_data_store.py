"""A store of train data that is out of reach for a while."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

import pytest

from l2rw_ray.orchestration.broker.failure_policy import Fault
from l2rw_ray.results import read_study
from tests.conftest import STUDY
from tests.digits_files import write_digits
from tests.faults.conftest import Disturb
from tests.faults.fault_table import Tries
from tests.integration.harness import wait_until
from tests.object_store import BUCKET, ObjectStore, environment_of
from tests.tracking.real_server import free_port

pytestmark = pytest.mark.timeout(3000)
_OUTAGE_S = 30.0


@contextmanager
def _store(log: Path) -> Iterator[subprocess.Popen]:
    """An S3 in a process of its own, with digits in it, and the environment that leads there."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment_of(endpoint).items():
            patch.setenv(name, value)
        try:
            wait_until(lambda: _answers(port), "store")
            ObjectStore(endpoint).filesystem.create_dir(BUCKET)
            yield process
        finally:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _training_s(out: Path) -> float:
    """How long all trials took together."""
    durations: list[float] = read_study(out)["duration_s"].to_pylist()
    return sum(durations)


@pytest.mark.fault(
    "the store of a streamed train set is out of reach for 30 s", "all; trials wait, or go on later"
)
def test_store_out_of_reach(disturb: Disturb, tries: Tries, tmp_path: Path) -> None:
    with _store(tmp_path / "store.log") as store:
        write_digits(f"s3://{BUCKET}/digits")
        source = {"source": "parquet", "train": f"s3://{BUCKET}/digits", "stream": {"window": 64}}
        trial = STUDY["trial"] | {
            "data": STUDY["trial"]["data"] | source,
            "optim": STUDY["trial"]["optim"] | {"epochs": 8},
        }
        expected = disturb("--max-concurrent-trials", "1", trial=trial, seeds=1)
        expected.complete()
        study = disturb("--max-concurrent-trials", "1", trial=trial, seeds=1)
        process = study.start()
        study.wait_for_training()
        store.send_signal(signal.SIGSTOP)
        tries.add()
        sleep(_OUTAGE_S)
        store.send_signal(signal.SIGCONT)
        output = study.end(process, 0)
        study.must_equal(expected.out)
        waited_s = _training_s(study.out) - _training_s(expected.out)
        assert waited_s > _OUTAGE_S / 2 or Fault.DATA_OUT_OF_REACH in output, "it met the outage"
