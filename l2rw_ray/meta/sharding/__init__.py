"""Models whose parameters lie in parts on several ranks."""
