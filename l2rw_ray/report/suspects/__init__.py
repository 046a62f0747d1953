"""Labels that the trials of a study speak against: their ranking, and how good it is where that is known."""
