"""Trials of any training function: what a function is called with, and how it is run."""
