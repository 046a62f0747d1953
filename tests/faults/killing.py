"""Random kills, at a steady pace, of whatever runs a study on a cluster of several nodes."""

import random
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

import psutil
from ray.cluster_utils import Cluster

from tests.faults.disturbed import DisturbedStudy
from tests.faults.nodes import Node, add_worker_node, lose
from tests.faults.processes import kill


@dataclass
class Killer:
    """Kills one of four kinds of things at each full pace, chosen at random.

    Attributes:
        study: The study whose processes it kills.
        cluster: The cluster that it runs on.
        nodes: The nodes that may be lost; another joins for each.
        random: Chooses.
        pace_s: From one kill to the next.
        kills: How many there were, by kind.
    """

    study: DisturbedStudy
    cluster: Cluster
    nodes: list[Node]
    random: random.Random
    pace_s: float
    kills: Counter[str] = field(default_factory=Counter)
    _next: float = field(default_factory=monotonic)

    def __post_init__(self) -> None:
        self._next += self.pace_s

    def act(self, driver: subprocess.Popen) -> None:
        """Kill something, if it is time; what is not there at the moment is not counted."""
        if monotonic() < self._next:
            return
        self._next += self.pace_s
        kinds: dict[str, Callable[[], bool]] = {
            "worker": self._worker,
            "group": self._group,
            "node": self._node,
            "driver": lambda: self._driver(driver),
        }
        kind = self.random.choice(sorted(kinds))
        self.kills[kind] += kinds[kind]()

    def _worker(self) -> bool:
        workers = self.study.workers()
        kill(self.random.sample(workers, min(1, len(workers))))
        return bool(workers)

    def _group(self) -> bool:
        """All workers at once, of whatever worker groups there are."""
        workers = self.study.workers()
        kill(workers)
        return bool(workers)

    def _node(self) -> bool:
        lost = self.random.choice(self.nodes)
        self.nodes.remove(lost)
        lose(self.cluster, lost)
        self.nodes.append(add_worker_node(self.cluster))
        return True

    def _driver(self, driver: subprocess.Popen) -> bool:
        if driver.poll() is not None:
            return False
        kill([psutil.Process(driver.pid)])
        driver.wait()
        return True
