"""Check a document against a JSON schema; a fault has its line and the nearest known word."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from agad.clusterfiles.document import Document, Place, spelled
from agad.clusterfiles.fault import Fault
from agad.clusterfiles.secrets import names_a_secret

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

Schema: TypeAlias = dict[str, Any]

_MAX_KNOWN = 12


def schema_faults(document: Document, schema: Schema, at: Place = ()) -> list[Fault]:
    """Return where a document breaks a schema, from top to bottom.

    Args:
        document: The document to check.
        schema: JSON schema, draft 7, of the value at ``at``.
        at: Place of the value.
    """
    from jsonschema import Draft7Validator

    errors = Draft7Validator(schema).iter_errors(document.get(at))
    faults = [fault for error in errors for fault in _told(document, error, at)]
    return sorted(set(faults), key=lambda fault: (fault.line, fault.text))


def _told(document: Document, error: ValidationError, at: Place) -> Iterator[Fault]:
    place = (*at, *error.absolute_path)
    rule: Any = error.validator_value
    match error.validator:
        case "additionalProperties":
            yield from _unknown_keys(document, error, place)
        case "required":
            missing = sorted(set(rule) - set(document.mapping(place)))
            yield from (
                document.fault(place, f"{spelled(place)} has no {key}; add it.") for key in missing
            )
        case "type" | "anyOf" | "oneOf":
            wanted = rule if isinstance(rule, str) else " or ".join(_types(rule)) or "another"
            yield document.fault(place, f"{_is(document, place)}, but must be of type {wanted}.")
        case "enum":
            known = [str(value) for value in rule if value != ""]
            hint = suggestion(document.get(place), known)
            yield document.fault(place, f"{_is(document, place)}, but must be {hint}.")
        case _:
            text = f"{_is(document, place)}, but its {error.validator} must be {rule}."
            yield document.fault(place, text)


def _types(rule: object) -> list[str]:
    """Return the types that a rule, or any rule in a list, allows."""
    if isinstance(rule, list):
        return [name for part in rule for name in _types(part)]
    if isinstance(rule, Mapping):
        return _types(rule.get("type"))
    return [rule] if isinstance(rule, str) else []


def _unknown_keys(document: Document, error: ValidationError, place: Place) -> Iterator[Fault]:
    schema: Any = error.schema
    known = list(schema.get("properties", ()))
    for key in document.mapping(place):
        if key not in known:
            text = f"{spelled((*place, key))} is not known; {suggestion(key, known)}."
            yield document.fault((*place, key), text)


def suggestion(given: object, known: list[str]) -> str:
    """Return the known word that is nearest to a given word, else a list of the known words."""
    nearest = difflib.get_close_matches(str(given), known, n=1)
    if nearest:
        return f"{nearest[0]}, perhaps"
    if not known:
        return "leave it out"
    more = f" and {len(known) - _MAX_KNOWN} more" if len(known) > _MAX_KNOWN else ""
    return f"one of {', '.join(sorted(known)[:_MAX_KNOWN])}{more}"


def _is(document: Document, place: Place) -> str:
    """Return a place and its value; a value that is long or may be a secret is left out."""
    value = document.get(place)
    if isinstance(value, dict | list):
        return f"{spelled(place)} is a {'mapping' if isinstance(value, dict) else 'list'}"
    if len(str(value)) > 60 or any(names_a_secret(str(step)) for step in place):
        return f"{spelled(place)} is a {type(value).__name__}"
    return f"{spelled(place)} is {value!r}"
