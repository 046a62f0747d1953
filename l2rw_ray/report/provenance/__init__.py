"""What a report says about its origin: design, trials, failures, versions, notes."""
