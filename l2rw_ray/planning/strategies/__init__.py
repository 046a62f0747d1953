"""Strategies that choose a study's trials: a fixed list, a search, a tuned comparison, the smallest level."""
