"""Decode, cache and stream images."""
