"""Immutable objects by key, in a folder or in a bucket, each written at most once."""

from agad.objects.local import LocalObjects
from agad.objects.probe import check_conditional_put
from agad.objects.protocol import MissingObjectError, ObjectStore, check_key
from agad.objects.retry import Backoff, TransientError, retry
from agad.objects.uri import check_uri, open_objects
