"""Rows as Parquet: schema, reading, merging, verification."""
