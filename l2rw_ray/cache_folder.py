"""Where this machine keeps what can be made or fetched again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$L2RW_RAY_CACHE`, or `l2rw_ray` in `$XDG_CACHE_HOME` or `~/.cache`."""
    own = os.environ.get("L2RW_RAY_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "l2rw_ray"
