"""JSON schemas of the clouds' own parameters, from botocore and Google's client."""

from __future__ import annotations

import functools
import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from agad.clusterfiles.schema import Schema
from agad.errors import ConfigError

if TYPE_CHECKING:
    from botocore.model import Shape

_COMPUTE = "discovery_cache/documents/compute.v1.json"

_EC2_TYPES = {
    "boolean": "boolean",
    "double": "number",
    "float": "number",
    "integer": "integer",
    "long": "integer",
    "string": "string",
}


@functools.cache
def ec2_schema() -> Schema:
    """Return the schema of an EC2 node: RunInstances' parameters, and Ray's own `SubnetIds`.

    No key is required: Ray adds the missing ones.
    """
    import botocore.session

    model = botocore.session.Session().get_service_model("ec2")
    shape = model.operation_model("RunInstances").input_shape
    assert shape is not None
    schema = _of_shape(shape)
    schema["properties"]["SubnetIds"] = {"type": "array", "items": {"type": "string"}}
    return schema


def _of_shape(shape: Shape) -> Schema:
    match shape.type_name:
        case "structure":
            members: dict[str, Shape] = shape.members  # type: ignore[attr-defined]
            inner = {name: _of_shape(member) for name, member in members.items()}
            return {"type": "object", "properties": inner, "additionalProperties": False}
        case "list":
            return {"type": "array", "items": _of_shape(shape.member)}  # type: ignore[attr-defined]
        case "map":
            return {"type": "object"}
        case "string" if values := shape.enum:  # type: ignore[attr-defined]
            return {"type": "string", "enum": list(values)}
        case name if name in _EC2_TYPES:
            return {"type": _EC2_TYPES[name]}
        case _:
            return {}


@functools.cache
def gce_schema() -> Schema:
    """Return the schema of a Compute Engine node: an Instance, and Ray's own template key.

    Raises:
        ConfigError: Google's client, which contains the schema, is not installed.
    """
    try:
        client = files("googleapiclient")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "provider.type is gcp, whose nodes are checked against the description in Google's "
            "client; pip install 'agad[cluster]', which `ray up` needs for gcp too."
        ) from error
    described = json.loads(client.joinpath(_COMPUTE).read_text())["schemas"]
    definitions = {name: _of_discovery(part) for name, part in described.items()}
    instance = definitions["Instance"]
    instance["properties"]["sourceInstanceTemplate"] = {"type": "string"}
    return {**instance, "definitions": definitions}


def _of_discovery(part: dict[str, Any]) -> Schema:
    if "$ref" in part:
        return {"$ref": f"#/definitions/{part['$ref']}"}
    if "additionalProperties" in part:
        return {
            "type": "object",
            "additionalProperties": _of_discovery(part["additionalProperties"]),
        }
    match part.get("type"):
        case "object":
            inner = {
                name: _of_discovery(member) for name, member in part.get("properties", {}).items()
            }
            return {"type": "object", "properties": inner, "additionalProperties": False}
        case "array":
            return {"type": "array", "items": _of_discovery(part["items"])}
        case "string" if str(part.get("format", "")).endswith("int64"):
            # JSON has no 64-bit integer, so the API writes such numbers as texts too.
            return {"type": ["string", "integer"]}
        case "string" if "enum" in part:
            return {"type": "string", "enum": part["enum"]}
        case "any" | None:
            return {}
        case name:
            return {"type": name}
