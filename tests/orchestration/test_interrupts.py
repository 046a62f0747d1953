"""Interrupts that wait."""

import signal

import pytest

from l2rw_ray.orchestration.interrupts import interrupts_deferred


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_for_the_block_and_a_second_one_does_not(number: signal.Signals) -> None:
    before = signal.signal(number, signal.default_int_handler)
    survived = []

    def interrupt(times: int, error: Exception | None = None) -> None:
        with interrupts_deferred():
            for turn in range(times):
                signal.raise_signal(number)
                survived.append((times, turn))
            if error is not None:
                raise error

    try:
        for times, error in ((1, None), (2, None), (1, ValueError())):
            with pytest.raises(KeyboardInterrupt):
                interrupt(times, error)
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert survived == [(1, 0), (2, 0), (1, 0)]
