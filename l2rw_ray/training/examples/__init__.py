"""Evidence of a trial on each example, whose label may be wrong."""
