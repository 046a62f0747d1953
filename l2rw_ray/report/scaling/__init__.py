"""The scaling report: step cost over batch size, model size, set sizes and workers."""
