"""A study's memory: its configuration, claims and rows, as objects."""

from agad.store.info import StudyInfo, TableInfo, study_info, table_files
from agad.store.read import StudyReader, list_studies, steps_done
from agad.store.removal import remove_study, studies_with_dataset
from agad.store.study_store import StudyStore
from agad.store.tables.compaction import DEFAULT_GRACE, Compacted, compact
from agad.store.tables.rows import rows_from_parquet, rows_to_parquet
from agad.store.tables.schema import Column, arrow_schema, columns_of_tables
from agad.store.tables.tables import read_table
from agad.store.verification import Verified, verify
