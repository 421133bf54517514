"""Rules for `ray start`: token, dashboard, and the cores that the head gives to trials."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agad.clusterfiles.document import Document, Place
from agad.clusterfiles.fault import Fault

LOOPBACK = {"127.0.0.1", "localhost", "::1"}

_FIX_TOKEN = (
    "set RAY_AUTH_MODE=token there or in docker.run_options, and RAY_AUTH_TOKEN_PATH to a file of "
    "file_mounts; Ray's ports listen on every address"
)


def start_faults(document: Document) -> Iterator[Fault]:
    """Yield the commands of a cluster YAML that let strangers in, or trials onto the head."""
    for role in ("head", "worker"):
        key = f"{role}_start_ray_commands"
        starts = [
            (index, command)
            for index, command in enumerate(document.items((key,)))
            if isinstance(command, str) and re.search(r"\bray start\b", command)
        ]
        if not starts:
            place: Place = (key,) if document.get((key,)) is not None else ()
            yield document.fault(
                place,
                f"{key} has no ray start, and Ray's own command opens the dashboard to every "
                "address, without a token; copy the one of this project's cluster files.",
            )
        for index, command in starts:
            yield from _command_faults(document, role, command, (key, index))


def _command_faults(document: Document, role: str, command: str, place: Place) -> Iterator[Fault]:
    if not _has_token_there(document, role, command):
        yield document.fault(place, f"ray start on the {role} runs without a token; {_FIX_TOKEN}.")
    if role == "head":
        for text in dashboard_texts(command):
            yield document.fault(place, text)
        if "--autoscaling-config" not in command:
            yield document.fault(
                place,
                "ray start --head has no --autoscaling-config, so no worker is ever started; "
                "add --autoscaling-config=~/ray_bootstrap_config.yaml.",
            )
        if _value(command, "num-cpus") != "0":
            yield document.fault(
                place,
                "ray start --head gives the head's cores to trials, which then share them with the "
                "driver; add --num-cpus=0.",
                is_warning=document.get(("provider", "type")) == "local",
            )


def dashboard_texts(command: str) -> Iterator[str]:
    """Yield why a command exposes the dashboard, if it does so; Ray's default is loopback."""
    host = _value(command, "dashboard-host")
    if host is not None and host not in LOOPBACK:
        yield (
            f"--dashboard-host is {host}, which opens the dashboard and its jobs to others; use "
            "127.0.0.1 and reach it with `ray dashboard` or ssh."
        )


def _value(command: str, flag: str) -> str | None:
    """Return a flag's value. If a flag is given twice, the last value counts, as in Ray."""
    found = re.findall(rf"--{flag}[= ]\s*[\"']?([^\s\"';]+)", command)
    return found[-1] if found else None


def _has_token_there(document: Document, role: str, command: str) -> bool:
    """Return whether a command of a cluster YAML runs with the token."""
    options = [
        str(option)
        for key in ("run_options", f"{role}_run_options")
        for option in document.items(("docker", key))
    ]
    return has_token([*options, command])


def has_token(settings: list[str]) -> bool:
    """Return whether the last ``RAY_AUTH_MODE`` in the settings is ``token``."""
    modes = re.findall(r"\bRAY_AUTH_MODE=[\"']?(\w+)", " ; ".join(settings))
    return bool(modes) and modes[-1] == "token"
