"""Studies as jobs of a Ray cluster: packed, submitted, followed, and started again."""

from agad.jobs.client import Jobs, JobServerError, StudyJob
from agad.jobs.package import Package, find_project, pack
from agad.jobs.secrets import secrets_of
from agad.jobs.supervise import Supervisor

__all__ = [
    "JobServerError",
    "Jobs",
    "Package",
    "StudyJob",
    "Supervisor",
    "find_project",
    "pack",
    "secrets_of",
]
