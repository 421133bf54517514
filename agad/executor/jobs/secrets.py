"""Secrets that must not leave with a project, found by a file's name and by its content."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from pathspec import GitIgnoreSpec

from agad.errors import ConfigError

_FILES = GitIgnoreSpec.from_lines(
    (
        ".env",
        ".env.*",
        "*.env",
        ".envrc",
        "*.pem",
        "*.key",
        "*.p12",
        "*.pfx",
        "*.jks",
        "*.kdbx",
        "id_rsa*",
        "id_dsa*",
        "id_ecdsa*",
        "id_ed25519*",
        "credentials",
        "credentials.csv",
        "credentials.ini",
        "credentials.toml",
        "credentials.y*ml",
        "*credentials*.json",
        "service[-_]account*.json",
        "client_secret*.json",
        "secrets.json",
        "secrets.toml",
        "secrets.yaml",
        "secrets.yml",
        "auth_token",
        ".git-credentials",
        ".netrc",
        ".pgpass",
        ".pypirc",
        ".npmrc",
        ".boto",
        ".s3cfg",
        ".aws/",
        ".ssh/",
        ".gnupg/",
        ".kube/",
        ".docker/",
        ".ray/",
        "kubeconfig",
        "*.tfstate",
    )
)

_HELD = {
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "an AWS secret key": re.compile(
        rb"aws_secret_access_key[\"']?\s*[=:]\s*[\"']?[A-Za-z0-9/+=]{40}(?![A-Za-z0-9/+=])", re.I
    ),
    "a token of Ray": re.compile(rb"RAY_AUTH_TOKEN[\"']?\s*[=:]\s*[\"']?[A-Za-z0-9_-]{32}"),
}

_SECRET_VARIABLE = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|CREDENTIALS|WEBHOOK", re.I)

_URL_WITH_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@", re.I)

_MIN_CHARS = 12
"""Shortest value to search for. Shorter values, such as a path or ``1``, also occur in files where
they are no secrets."""


def is_secret_file(name: str) -> bool:
    """Whether the name of a file, or of a folder with a final ``/``, stands for a secret."""
    return _FILES.match_file(name)


def secrets_of(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each variable that holds a secret.

    A variable's name can show this, for example a token or the address of a webhook, which lets
    everyone in. A value can show this too: a URL with a password, under any name.
    """
    for name, value in environment.items():
        is_path = value.startswith(("/", "~"))
        is_secret = _SECRET_VARIABLE.search(name) and not is_path
        if len(value) >= _MIN_CHARS and (is_secret or _URL_WITH_PASSWORD.match(value)):
            yield f"${name}", value


def check_no_secret(name: str, data: bytes, known: Collection[tuple[str, str]]) -> None:
    """Refuse a file that holds a secret.

    Args:
        name: Name of the file in the error.
        data: Bytes of the file.
        known: Names and values of secrets that the file must not hold.

    Raises:
        ConfigError: The file holds a known secret, or a text that has the form of a key.
    """
    kinds = [kind for kind, form in _HELD.items() if form.search(data)]
    kinds += [f"the value of {of}" for of, value in known if value.encode() in data]
    if kinds:
        raise ConfigError(
            f"{name} holds {kinds[0]}, which a job would hand to everyone on the cluster; take it "
            "out, or put the file into .gitignore. The nodes have credentials of their own."
        )
