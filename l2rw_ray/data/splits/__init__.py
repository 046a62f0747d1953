"""Draw the train, meta, validation and test sets, and apply the protocols to them."""
