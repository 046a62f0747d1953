"""Hundreds of small trials on two nodes while something is killed every twenty seconds.

They are those of one study, or of two that share the cluster.

make soak                    # all of it
SOAK_TRIALS=40 make soak     # to try it
"""

import json
import os
import random
import signal
import subprocess
import time
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from tests.faults.conftest import Disturb
from tests.faults.disturbed import DisturbedStudy
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
@pytest.mark.parametrize("number", [1, 2], ids=["one study", "two studies"])
def test_soak(disturb: Disturb, request: pytest.FixtureRequest, number: int) -> None:
    design, seeds = {"kind": "grid", "factors": {"method.name": ["uniform", "l2rw"]}}, _TRIALS // 2 // number
    with two_nodes(dashboard=True) as (cluster, nodes):
        studies = [
            disturb("--address", cluster.address, name=f"soak-{each}", design=design, seeds=seeds, epochs=100)
            for each in range(number)
        ]
        killer = Killer(studies[0], cluster, list(nodes), random.Random(0), _PACE_S)
        began, memory, restarts = time.monotonic(), MemoryLog(), 0
        drivers = [study.start() for study in studies]
        while under_way := [
            each for each in range(number) if not _is_done(studies[each], drivers[each], seeds)
        ]:
            for each in under_way:
                if drivers[each].poll() is not None:
                    assert drivers[each].returncode in (1, -signal.SIGKILL), studies[each].output
                    restarts += 1
                    drivers[each] = studies[each].start()
            killer.act(killer.random.choice(drivers))
            memory.sample(_watched(cluster.head_node, drivers[0].pid))
            time.sleep(_LOOK_EVERY_S)
        duration_s = time.monotonic() - began
        for study in studies:
            study.must_keep_finished()
            study.must_be_complete()
        left = studies[0].left_after(LEFT_S)
    levels = memory.levels()
    told = {
        "commit": tried_commit(),
        "studies": number,
        "trials": 2 * seeds * number,
        "duration_s": round(duration_s),
        "kills": dict(killer.kills),
        "restarts_of_the_command": restarts,
        "left_running": left,
        "memory": [asdict(level) for level in levels],
    }
    _tell(request.config, told, number)
    assert left == []
    assert [level for level in levels if level.growth_bytes > _MAX_GROWTH_BYTES] == []


def _is_done(study: DisturbedStudy, driver: subprocess.Popen, seeds: int) -> bool:
    """Whether all trials of two methods have finished."""
    return driver.poll() == 0 and len(study.finished) == 2 * seeds


def _watched(head: object, driver: int) -> dict[str, psutil.Process]:
    """The driver, and what of the cluster stays all the time."""
    pids = {name: found[0].process.pid for name, found in head.all_processes.items() if found}
    return {
        name: psutil.Process(pid)
        for name, pid in {**pids, "driver": driver}.items()
        if name in ("driver", "gcs_server", "raylet") and psutil.pid_exists(pid)
    }


def _tell(config: pytest.Config, told: dict[str, object], studies: int) -> None:
    text = json.dumps(told, indent=1)
    path: Path | None = config.getoption("--soak-report", default=None)
    if path is not None:
        path = path if studies == 1 else path.with_stem(f"{path.stem}-{studies}-studies")
        path.write_text(text + "\n")
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(text)
