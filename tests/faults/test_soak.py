"""Hundreds of small trials on two nodes while something is killed every twenty seconds.

make soak                    # all of it
SOAK_TRIALS=40 make soak     # to try it
"""

import json
import os
import random
import signal
import time
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from tests.faults.conftest import Disturb
from tests.faults.fault_table import tried_commit
from tests.faults.killing import Killer
from tests.faults.memory_level import MemoryLog
from tests.faults.nodes import two_nodes
from tests.faults.processes import LEFT_S

_TRIALS = int(os.environ.get("SOAK_TRIALS", "300"))
_PACE_S = float(os.environ.get("SOAK_PACE_S", "20"))
_LOOK_EVERY_S = 1.0
_MAX_GROWTH_BYTES = 100 * 2**20
"""What one process may gain from the first to the last third of its life."""


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_soak(disturb: Disturb, request: pytest.FixtureRequest) -> None:
    design = {"kind": "grid", "factors": {"method.name": ["uniform", "l2rw"]}}
    with two_nodes(dashboard=True) as (cluster, nodes):
        study = disturb("--address", cluster.address, design=design, seeds=_TRIALS // 2, epochs=100)
        killer = Killer(study, cluster, list(nodes), random.Random(0), _PACE_S)
        began, memory, ends = time.monotonic(), MemoryLog(), []
        driver = study.start()
        while not (driver.poll() == 0 and len(study.finished) == _TRIALS):
            if driver.poll() is not None:
                assert driver.returncode in (1, -signal.SIGKILL), study.output
                ends.append(driver.returncode)
                driver = study.start()
            killer.act(driver)
            memory.sample(_watched(cluster.head_node, driver.pid))
            time.sleep(_LOOK_EVERY_S)
        duration_s = time.monotonic() - began
        study.must_keep_finished()
        study.must_be_complete()
        left = study.left_after(LEFT_S)
    levels = memory.levels()
    told = {
        "commit": tried_commit(),
        "trials": _TRIALS,
        "duration_s": round(duration_s),
        "kills": dict(killer.kills),
        "restarts_of_the_command": len(ends),
        "left_running": left,
        "memory": [asdict(level) for level in levels],
    }
    _tell(request.config, told)
    assert left == []
    assert [level for level in levels if level.growth_bytes > _MAX_GROWTH_BYTES] == []


def _watched(head: object, driver: int) -> dict[str, psutil.Process]:
    """The driver, and what of the cluster stays all the time."""
    pids = {name: found[0].process.pid for name, found in head.all_processes.items() if found}
    return {
        name: psutil.Process(pid)
        for name, pid in {**pids, "driver": driver}.items()
        if name in ("driver", "gcs_server", "raylet") and psutil.pid_exists(pid)
    }


def _tell(config: pytest.Config, told: dict[str, object]) -> None:
    text = json.dumps(told, indent=1)
    path: Path | None = config.getoption("--soak-report", default=None)
    if path is not None:
        path.write_text(text + "\n")
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(text)
