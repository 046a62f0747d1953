"""Checks of data and custom code before a run starts."""
