"""Studies as jobs of a Ray cluster: packed, submitted, followed, and started again."""

from agad.jobs.client import Jobs, JobServerError, StudyJob
from agad.jobs.doctor import Finding, examine
from agad.jobs.drain import Node, wait_for_notice
from agad.jobs.notices import (
    EC2_ADDRESS,
    GCP_ADDRESS,
    Ec2Notices,
    GcpNotices,
    MetadataError,
    Notice,
    Notices,
)
from agad.jobs.package import Package, find_project, pack
from agad.jobs.secrets import secrets_of
from agad.jobs.supervise import Supervisor

__all__ = [
    "EC2_ADDRESS",
    "GCP_ADDRESS",
    "Ec2Notices",
    "Finding",
    "GcpNotices",
    "JobServerError",
    "Jobs",
    "MetadataError",
    "Node",
    "Notice",
    "Notices",
    "Package",
    "StudyJob",
    "Supervisor",
    "examine",
    "find_project",
    "pack",
    "secrets_of",
    "wait_for_notice",
]
