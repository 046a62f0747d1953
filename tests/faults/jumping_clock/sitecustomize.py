"""A wall clock that is set while a process runs: by as many seconds as a file says, from when it is there.

Python imports this module by itself where its folder is on PYTHONPATH.
"""

import os
import time
from pathlib import Path

_right, _elapsed = time.time, time.monotonic
_LOOK_EVERY_S = 0.1


class _Clock:
    """`time.time`, until the file is there; from then on a clock that goes wrong by what it says."""

    def __init__(self, file: Path) -> None:
        self._file, self._next_look, self._wrong_s = file, 0.0, 0.0

    def __call__(self) -> float:
        now = _elapsed()
        if not self._wrong_s and now >= self._next_look:
            self._next_look = now + _LOOK_EVERY_S
            if self._file.exists():
                self._wrong_s = float(self._file.read_text())
        return _right() + self._wrong_s


if "FAULTS_CLOCK" in os.environ:
    time.time = _Clock(Path(os.environ["FAULTS_CLOCK"]))
