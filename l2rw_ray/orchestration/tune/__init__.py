"""The Ray Tune side of a run: searcher, trial proxies, early stopping."""
