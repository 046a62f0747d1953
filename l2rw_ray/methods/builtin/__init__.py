"""The other built-in methods, one module each."""
