"""Methods whose steps themselves resist wrong labels or sharp minima."""
