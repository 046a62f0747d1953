"""What changes the parameters of a trial: optimisers and their learning rates."""
