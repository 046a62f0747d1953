"""Paired comparisons between methods, and the evidence for them."""
