"""Deliver the events of all trials from the broker to the observers."""

import logging
import threading
from collections.abc import Callable

import ray

from l2rw_ray.events import Event, Observer
from l2rw_ray.orchestration.broker.client import BrokerClient

_DRAIN_WAIT_S = 1.0


class EventPump:
    """A thread of the driver that hands each event to every observer, in order.

    The ledger must not miss an event: its failure stops the run. Any other observer that fails is
    dropped with one warning, and the trials continue.

    Attributes:
        error: Why the ledger failed; None while it has not.

    Args:
        broker: Source of the events.
        ledger: The observer that must not fail.
        observers: The others; one that fails is removed from the list.
        gather_s: How long epochs may wait for others, to be delivered together; ends of trials never wait.
        on_loss: Called once if no more events will come because the broker or the ledger was lost.
    """

    def __init__(
        self,
        broker: BrokerClient,
        ledger: Observer,
        observers: list[Observer],
        gather_s: float,
        on_loss: Callable[[], object],
    ) -> None:
        self._broker, self._ledger, self._observers = broker, ledger, observers
        self._gather_s, self._on_loss = gather_s, on_loss
        self._finishing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self.error: Exception | None = None

    def start(self) -> None:
        """Start to deliver events."""
        self._thread.start()

    def finish(self) -> None:
        """Deliver the remaining events and stop."""
        self._finishing.set()
        self._thread.join()

    def _run(self) -> None:
        last_round = False
        while not last_round:
            last_round = self._finishing.is_set()
            try:
                events = self._broker.drain(*((0.0, 0.0) if last_round else (_DRAIN_WAIT_S, self._gather_s)))
            except ray.exceptions.RayError:
                self._on_loss()
                return
            for event in events:
                self._deliver(event)

    def _deliver(self, event: Event) -> None:
        if self.error is not None:
            return  # observers must not see what is not recorded
        try:
            self._ledger(event)
        except Exception as error:  # noqa: BLE001  # the run ends with it: nothing is trained unrecorded
            self.error = error
            self._broker.interrupt_async()
            self._on_loss()
            return
        for observer in list(self._observers):
            try:
                observer(event)
            except (Exception, SystemExit):  # an observer never fails a trial, nor does a closed pipe
                self._observers.remove(observer)
                logging.getLogger(__name__).warning("an observer failed and was removed", exc_info=True)
