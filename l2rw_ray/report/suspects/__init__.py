"""Rank train labels by how likely they are wrong, and measure the ranking where the truth is known."""
