"""Durations as text."""


def duration_text(duration_s: float) -> str:
    """Return a readable duration: `45 s`, `3 min 20 s`, `2 h 5 min`."""
    seconds = round(duration_s)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
