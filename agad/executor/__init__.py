"""All of Ray, behind two doors: ``tune`` runs a study, ``jobs`` submits one to a cluster."""

from agad.executor.listening import check_listening
