"""How a trial trains: its length, its precision and the seeds of its draws."""
