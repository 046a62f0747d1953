"""Ray clusters: private ones, running ones, their nodes and their growth."""
