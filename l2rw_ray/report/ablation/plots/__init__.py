"""Plots of an ablation: effects, learning curves, and the styles that they share."""
