"""Wait with an interrupt where one in the middle does harm."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Raise KeyboardInterrupt for a first interrupt at the end of the block, and for a second one at once.

    Code that is interrupted in the middle of an import or of a native call may lose the exception, or leave
    threads behind. Interrupts are Ctrl-C, and SIGTERM where it is handled as Ctrl-C is. Main thread only.
    """
    signals = [
        each
        for each in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(each) is signal.default_int_handler
    ]
    is_interrupted = False

    def defer(number: int, frame: FrameType | None) -> None:
        nonlocal is_interrupted
        if is_interrupted:
            signal.default_int_handler(number, frame)
        is_interrupted = True

    for each in signals:
        signal.signal(each, defer)
    try:
        yield
    finally:
        for each in signals:
            signal.signal(each, signal.default_int_handler)
        if is_interrupted:
            raise KeyboardInterrupt
