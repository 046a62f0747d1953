"""Train sets that stay in their files: which rows a pass reads, and how they become inputs."""
