"""The command line: `app` declares the commands, the other modules do what they need."""

from l2rw_ray.cli.app import main

__all__ = ["main"]
