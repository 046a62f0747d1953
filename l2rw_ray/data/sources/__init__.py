"""Where examples come from: one module per source."""
