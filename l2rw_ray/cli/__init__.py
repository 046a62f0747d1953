"""The command line: `app` declares the commands, the other modules implement them."""

from l2rw_ray.cli.app import main

__all__ = ["main"]
