"""Share a cluster with other studies and jobs: who gets a worker group next, and who gives one up."""
