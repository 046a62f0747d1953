"""Parquet and CSV tables: files, row groups, cells that cannot be used."""
