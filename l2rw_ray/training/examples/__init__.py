"""What a trial keeps of its examples, whose labels may be wrong."""
