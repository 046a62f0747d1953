"""The folder of this machine for files that can be downloaded or computed again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return `$L2RW_RAY_CACHE`, or else `l2rw_ray` in `$XDG_CACHE_HOME` or `~/.cache`."""
    chosen = os.environ.get("L2RW_RAY_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "l2rw_ray"
