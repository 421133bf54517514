"""A study's memory: its configuration, claims and rows, as objects."""

from agad.store.compaction import DEFAULT_GRACE, Compacted, compact
from agad.store.info import StudyInfo, TableInfo, study_info, table_files
from agad.store.keys import ALL_TABLES, TABLES, AnyTable, Table, check_study_name
from agad.store.read import StudyReader, list_studies
from agad.store.rows import rows_from_parquet, rows_to_parquet
from agad.store.schema import Column, arrow_schema, columns_of_tables
from agad.store.study_store import StudyStore
from agad.store.tables import read_table
from agad.store.verification import Verified, verify

__all__ = [
    "ALL_TABLES",
    "DEFAULT_GRACE",
    "TABLES",
    "AnyTable",
    "Column",
    "Compacted",
    "StudyInfo",
    "StudyReader",
    "StudyStore",
    "Table",
    "TableInfo",
    "Verified",
    "arrow_schema",
    "check_study_name",
    "columns_of_tables",
    "compact",
    "list_studies",
    "read_table",
    "rows_from_parquet",
    "rows_to_parquet",
    "study_info",
    "table_files",
    "verify",
]
