"""Evaluating a model on batches, as training does and without a trace."""
