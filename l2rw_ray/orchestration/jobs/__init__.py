"""Submit a study to a remote cluster as a Ray job, and run it there."""
