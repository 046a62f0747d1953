"""A wall clock that is set while a study runs.

What Python sees in all of the study's processes; Ray's own C++ processes keep the machine's clock.
"""

import os
from pathlib import Path

import pytest

from tests.faults.conftest import Disturb, Undisturbed
from tests.faults.fault_table import Tries

pytestmark = pytest.mark.timeout(3000)
_DAY_S = 24 * 3600.0


@pytest.mark.fault("the clock is set by a day, on or back", "all; recorded times may be wrong")
@pytest.mark.parametrize("jump_s", [_DAY_S, -_DAY_S])
def test_clock_that_jumps(
    undisturbed: Undisturbed, disturb: Disturb, tries: Tries, tmp_path: Path, jump_s: float
) -> None:
    jump, folder = tmp_path / "jump", Path(__file__).parent / "jumping_clock"
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {"PYTHONPATH": path, "FAULTS_CLOCK": str(jump)}
    expected, study = undisturbed(), disturb("--max-concurrent-trials", "1", environment=environment, seeds=1)
    process = study.start()
    study.wait_for_training()
    jump.write_text(str(jump_s))
    tries.add()
    study.end(process, 0)
    study.must_equal(expected)
