"""Generated pages of the reference: study file, command line, ledger."""
