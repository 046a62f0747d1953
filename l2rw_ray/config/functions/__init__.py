"""Trials that call a custom function or script, and the metrics that trials declare."""
