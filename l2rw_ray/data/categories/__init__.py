"""Categories: the columns they come from, and the numbers that a model gets."""
