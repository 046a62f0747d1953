"""The report of design points: metrics on the test set, differences, curves, costs."""
