"""Studies as jobs of a Ray cluster: packed, submitted, followed, and started again."""

from agad.executor.jobs.client import Jobs, JobServerError, StudyJob
from agad.executor.jobs.doctor import Finding, examine
from agad.executor.jobs.drain import Node, wait_for_notice
from agad.executor.jobs.notices import (
    EC2_ADDRESS,
    GCP_ADDRESS,
    Ec2Notices,
    GcpNotices,
    MetadataError,
    Notice,
    Notices,
)
from agad.executor.jobs.package import Package, find_project, pack
from agad.executor.jobs.secrets import secrets_of
from agad.executor.jobs.supervise import Supervisor
