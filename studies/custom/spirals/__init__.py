"""Interleaved spirals: a source, a network, an arm and a metric of one's own."""
