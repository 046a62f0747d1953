"""How processes share the tests (`--numprocesses 2 --dist loadgroup`).

Tests of one file go to one process, which makes the file's fixtures once. Those that start Ray go to one
process as well, and share a cluster: two at a time would starve each other. They come first, since they take
longest.
"""

from typing import Any

import pytest
from xdist.scheduler import LoadGroupScheduling


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that start Ray first, as one group."""
    items.sort(key=lambda item: item.get_closest_marker("ray") is None)
    for item in items:
        if item.get_closest_marker("ray"):
            item.add_marker(pytest.mark.xdist_group("ray"))


class _ByFile(LoadGroupScheduling):
    """Keeps together what has the same group, or is in the same file."""

    def _split_scope(self, nodeid: str) -> str:
        return super()._split_scope(nodeid).partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByFile | None:
    """Keep files together, in their order."""
    if config.getvalue("dist") != "loadgroup":
        return None
    config.option.loadscopereorder = False  # by number of tests, which tells little of how long they take
    return _ByFile(config, log)
