"""The `trial.data` section: sources, protocols, regression targets and streaming."""
