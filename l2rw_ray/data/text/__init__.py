"""Texts: the column they come from, tokenizers, and batches of token ids."""
