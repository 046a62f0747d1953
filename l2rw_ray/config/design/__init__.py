"""The `design` section: one module per kind of design."""
