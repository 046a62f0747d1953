"""What was planned when."""
