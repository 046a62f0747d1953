"""How far a trial trains, and when it is evaluated."""
