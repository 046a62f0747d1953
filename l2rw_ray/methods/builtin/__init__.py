"""The built-in methods, one module each."""
