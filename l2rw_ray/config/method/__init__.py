"""The `trial.method` section: one class per method."""
