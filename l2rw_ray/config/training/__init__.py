"""How a trial trains: its length, and what it computes in."""
