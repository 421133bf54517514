"""Rows as Parquet: schema, reading, compaction."""
