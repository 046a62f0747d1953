"""Studies from Python: objects that plan, run, compare and show themselves in a notebook."""
