"""The report of a search: configurations, Pareto front, parameter importances."""
