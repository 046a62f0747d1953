"""A study in a notebook's kernel: the stop button ends it, and the next cell goes on with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from l2rw_ray.results import read_study
from tests.integration.harness import descendants, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

STUDY = """
from time import sleep

from l2rw_ray import Grid, Study

def train(trial, lr):
    for epoch in range(4):
        sleep(0.3)
        trial.report({"validation_loss": lr / (epoch + 1)}, epoch=epoch)
    trial.finish({"test_loss": lr})

study = Study(
    name="own",
    trial={"function": train, "params": {"lr": 0.1}},
    metrics={"test_loss": {"mode": "min"}, "validation_loss": {"mode": "min"}},
    design=Grid(factors={"lr": [0.1, 0.2]}),
    seeds=8,
)
"""
RUN = "results = study.run('out', mlflow=False)"


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    """A new kernel in `tmp_path`, and its client."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=120)
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_a_stopped_study_leaves_no_process_and_goes_on_in_the_next_cell(
    kernel: tuple[KernelManager, BlockingKernelClient], tmp_path: Path
) -> None:
    manager, client = kernel
    assert client.execute_interactive(STUDY, timeout=120, output_hook=print)["content"]["status"] == "ok"
    client.execute(RUN)
    wait_until(lambda: list((tmp_path / "out" / "trials").glob("*.parquet")), "trial", 240)
    manager.interrupt_kernel()
    stopped = client.get_shell_msg(timeout=120)["content"]
    assert (stopped["status"], stopped["ename"]) == ("error", "KeyboardInterrupt")
    assert descendants(manager.provisioner.process.pid, "ray") == []
    before = read_study(tmp_path / "out").num_rows
    assert 0 < before < 16

    reply = client.execute_interactive(RUN, timeout=280, output_hook=print)
    assert reply["content"]["status"] == "ok"
    rows = read_study(tmp_path / "out").to_pylist()
    assert [row["status"] for row in rows] == ["completed"] * 16
