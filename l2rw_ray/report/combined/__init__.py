"""One report about several studies."""
