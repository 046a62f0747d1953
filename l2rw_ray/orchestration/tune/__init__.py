"""The Ray Tune side of a run: searcher, trials without actors, early stopping."""
