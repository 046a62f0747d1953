"""Share a cluster with other studies and jobs: which run gets a worker group next, and which gives one up."""
