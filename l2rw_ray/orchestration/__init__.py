"""Run a study on Ray; the only package that imports ray."""
