"""Where each thread of this process is."""

import sys
import threading
import traceback


def thread_stacks(first: int) -> str:
    """The stacks of all threads but the caller's, in the form of tracebacks.

    Args:
        first: Identity of the thread to begin with, as `threading.get_ident` returns it.
    """
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames()
    frames.pop(threading.get_ident(), None)
    parts = []
    for ident in sorted(frames, key=lambda ident: ident != first):
        stack = "".join(traceback.format_stack(frames[ident]))
        parts.append(f"Thread {names.get(ident, ident)} (most recent call last):\n{stack}")
    return "\n".join(parts)
