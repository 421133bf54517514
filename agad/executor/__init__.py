"""All of Ray, behind two doors: ``tune`` runs a study, ``jobs`` submits one to a cluster."""

from agad.executor.joining import check_joinable, find_token, refused, telling_start_faults
from agad.executor.private_ray import stepping_aside
