"""Design points of a report: their settings, labels and metrics over seeds."""
