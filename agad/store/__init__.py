"""A study's memory: its configuration, claims and rows, as objects."""

from agad.store.read import StudyReader, list_studies
from agad.store.schema import arrow_schema, rows_from_parquet, rows_to_parquet
from agad.store.study_store import StudyStore

__all__ = [
    "StudyReader",
    "StudyStore",
    "arrow_schema",
    "list_studies",
    "rows_from_parquet",
    "rows_to_parquet",
]
