"""How a trial computes: precision, compilation and memory format."""
