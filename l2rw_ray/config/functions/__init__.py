"""Trials that are functions or scripts of the user's own, and the metrics that trials declare."""
