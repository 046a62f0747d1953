"""Show the status of a study while it runs: a page in a notebook, a line per change elsewhere."""

import sys
from importlib import import_module
from typing import Any

from l2rw_ray.api.status import StudyStatus
from l2rw_ray.cli.plain_characters import say


class LiveStatus:
    """Shows one status after another in the same place."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._last = ""

    def show(self, status: StudyStatus) -> None:
        """Show a status in place of the last one."""
        if not in_notebook():
            if status.line != self._last:
                say(status.line)
        elif self._handle is None:
            self._handle = import_module("IPython.display").display(status, display_id=True)
        else:
            self._handle.update(status)
        self._last = status.line


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and getattr(shell, "kernel", None) is not None
