"""Bringing the events of all trials from the broker to whoever observes them."""

import logging
import threading
from typing import Any

import ray

from l2rw_ray.events import Event, Observer

_DRAIN_WAIT_S = 1.0
_PAUSE_S = 0.2
"""Between two rounds: events of many short epochs come together."""


class EventPump:
    """A thread of the driver that hands each event to every observer, in order.

    The ledger must not miss an event: its failure stops the run. Any other observer that fails is
    left out from then on, with one warning; the trials go on.

    Args:
        broker: Handle of the broker actor.
        ledger: The observer that must not fail.
        observers: The others; one that fails is taken out of the list.
    """

    def __init__(self, broker: Any, ledger: Observer, observers: list[Observer]) -> None:
        self._broker, self._ledger, self._observers = broker, ledger, observers
        self._finishing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self.error: Exception | None = None

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def finish(self) -> None:
        """Deliver what is left and stop."""
        self._finishing.set()
        self._thread.join()

    def _run(self) -> None:
        last_round = False
        while not last_round:
            last_round = self._finishing.is_set()
            try:
                events = ray.get(self._broker.drain.remote(0.0 if last_round else _DRAIN_WAIT_S))
            except ray.exceptions.RayError:
                return  # the broker died; the run itself finds out and says so
            for event in events:
                self._deliver(event)
            self._finishing.wait(_PAUSE_S)

    def _deliver(self, event: Event) -> None:
        if self.error is not None:
            return  # nobody shall take for done what was not recorded
        try:
            self._ledger(event)
        except Exception as error:  # noqa: BLE001  # the run ends with it: nothing is trained unrecorded
            self.error = error
            self._broker.interrupt.remote(0.0)
            return
        for observer in list(self._observers):
            try:
                observer(event)
            except (Exception, SystemExit):  # an observer never fails a trial, nor does a closed pipe
                self._observers.remove(observer)
                logging.getLogger(__name__).warning("an observer failed and is left out", exc_info=True)
