"""Interleaved spirals: a source, a network, a method and a metric of one's own."""
