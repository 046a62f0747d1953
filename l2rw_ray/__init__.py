"""Studies of learned example reweighting on Ray, and their exact, cheap core as a library."""

__version__ = "0.1.0"
