"""A cluster YAML of `ray up`: Ray's own checks, the cloud's shapes, and this project's rules."""

from __future__ import annotations

import copy
import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from importlib.resources import files
from typing import Any

from agad.clusterfiles.clouds import ec2_schema, gce_schema
from agad.clusterfiles.document import Document, Place, spelled
from agad.clusterfiles.fault import Fault
from agad.clusterfiles.nodes import node_faults
from agad.clusterfiles.schema import Schema, schema_faults
from agad.clusterfiles.start import start_faults
from agad.executor import stepping_aside

_SUBJECTS = {
    "head_node_type": ("head_node_type",),
    "max_workers": ("max_workers",),
    "worker_ips": ("provider",),
    "coordinator_address": ("provider",),
    "available_node_types": ("available_node_types",),
    "container": ("docker",),
    "PathLike": ("file_mounts",),
}
"""Place in the file, by a word of Ray's message. Ray's messages name no line."""

_REFUSALS = (ValueError, TypeError, KeyError, AttributeError, AssertionError, RuntimeError)
"""Errors that Ray's checks raise, also for a value of a type that they do not expect."""


def launcher_faults(document: Document) -> list[Fault]:
    """Return the faults of a cluster YAML.

    Raises:
        ConfigError: The file names Google's cloud, and Google's client is not installed.
    """
    faults = schema_faults(document, _ray_schema(document))
    if not faults:
        faults += _refused_by_ray(document)
    faults += _shape_faults(document)
    faults += start_faults(document)
    faults += node_faults(document)
    return faults


def provider(document: Document) -> object:
    """Return the type of a cluster's provider: aws, gcp, local, or another."""
    return document.get(("provider", "type"))


def _ray_schema(document: Document) -> Schema:
    schema: Schema = json.loads(files("ray.autoscaler").joinpath("ray-schema.json").read_text())
    if provider(document) == "local":
        # Before its check, Ray moves this key to the only node type of a local cluster.
        schema["properties"]["min_workers"] = {"type": "integer", "minimum": 0}
    return schema


def _refused_by_ray(document: Document) -> Iterator[Fault]:
    """Yield the first reason why Ray refuses the file, if Ray refuses the file."""
    from click import ClickException
    from jsonschema import ValidationError

    prepare_config: Any = None
    with stepping_aside("what Ray refuses in a cluster's YAML is not checked"):
        from ray.autoscaler._private.util import prepare_config, validate_config
    if prepare_config is None:
        return
    # Ray logs the defaults that it fills in, which are no faults.
    logging.getLogger("ray.autoscaler").setLevel(logging.ERROR)
    unread = io.StringIO()
    try:
        with redirect_stdout(unread), redirect_stderr(unread):
            validate_config(prepare_config(copy.deepcopy(document.mapping(()))))
    except ValidationError as error:
        text = f"Ray refuses {spelled(tuple(error.absolute_path))}: {error.validator}"
        yield document.fault(tuple(error.absolute_path), f"{text} must be {error.validator_value}.")
    except (ClickException, *_REFUSALS) as error:
        reason = " ".join(str(error).split())
        place = next((at for word, at in _SUBJECTS.items() if word in reason), ())
        yield document.fault(place, f"Ray refuses it: {reason}")


def _shape_faults(document: Document) -> Iterator[Fault]:
    """Yield the parameters of nodes that the cloud would refuse."""
    kind = provider(document)
    for name in document.mapping(("available_node_types",)):
        place: Place = ("available_node_types", name, "node_config")
        if kind == "aws":
            yield from _ec2_faults(document, place)
        elif kind == "gcp" and _is_compute(document, place):
            yield from schema_faults(document, gce_schema(), place)


def _ec2_faults(document: Document, place: Place) -> Iterator[Fault]:
    for fault in schema_faults(document, ec2_schema(), place):
        # Amazon adds instance types faster than botocore is upgraded.
        is_type = re.match(r"\S*\.InstanceType is '", fault.text) is not None
        yield Fault(file=fault.file, line=fault.line, text=fault.text, is_warning=is_type)


def _is_compute(document: Document, place: Place) -> bool:
    """Return whether a node of gcp is a virtual machine, not a TPU."""
    return not {"acceleratorType", "acceleratorConfig"} & document.mapping(place).keys()
