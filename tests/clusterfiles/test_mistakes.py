"""One mistake in a shipped file: the check names its line, its subject and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from agad.clusterfiles import Crds, check_file
from tests.clusterfiles.conftest import Spoil
from tests.clusterfiles.mistakes import FAULTS, WARNINGS, Mistake
from tests.clusterfiles.secret_mistakes import KEY, SECRET, SECRETS


@pytest.mark.parametrize("mistake", [*FAULTS.values(), *SECRETS.values()], ids=[*FAULTS, *SECRETS])
def test_a_mistake_is_found_at_its_line(spoil: Spoil, mistake: Mistake) -> None:
    spoilt = spoil(mistake)
    found = [fault for fault in spoilt.faults if mistake.said in fault.text]
    assert [fault.line for fault in found][:1] == [spoilt.line], spoilt.faults
    assert not found[0].is_warning


@pytest.mark.parametrize("mistake", WARNINGS.values(), ids=WARNINGS)
def test_what_costs_is_a_warning_at_its_line(spoil: Spoil, mistake: Mistake) -> None:
    spoilt = spoil(mistake)
    (found,) = spoilt.faults
    assert mistake.said in found.text
    assert (found.line, found.is_warning) == (spoilt.line, True)


@pytest.mark.parametrize("mistake", SECRETS.values(), ids=SECRETS)
def test_a_secret_is_never_repeated(spoil: Spoil, mistake: Mistake) -> None:
    spoilt = spoil(mistake)
    assert spoilt.faults
    assert not any(SECRET in fault.text or KEY in fault.text for fault in spoilt.faults)


@pytest.mark.parametrize("key", ["data", "stringData"])
def test_a_secret_of_kubernetes_does_not_belong_in_a_file(
    tmp_path: Path, crds: Crds, key: str
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"apiVersion: v1\nkind: Secret\nmetadata: {{ name: a }}\n{key}: {{ a: b }}\n")
    (fault,) = check_file(path, crds).faults
    assert fault.line == 4
    assert "kubectl create secret" in fault.text


PLAIN = """\
apiVersion: v1
kind: Pod
spec:
  containers:
    - env:
        - { name: STORE, value: "s3://bucket/agad" }
        - { name: RAY_AUTH_TOKEN, valueFrom: { secretKeyRef: { name: token, key: auth_token } } }
        - { name: RAY_AUTH_TOKEN_PATH, value: /home/ray/token }
        - { name: MLFLOW_TRACKING_URI, value: "https://me:$PASSWORD@host:5000/a" }
        - { name: AGAD_WEBHOOK, valueFrom: { secretKeyRef: { name: webhook, key: address } } }
        - { name: PROXY, value: "http://proxy.example:3128/a@b" }
      command: [sh, -c, "TOKEN=$(cat /token) PASSWORD=$PASSWORD login --password-stdin x"]
  arn: arn:aws:secretsmanager:us-east-1:123456789012:secret:agad
  automountServiceAccountToken: false
"""


def test_a_reference_to_a_secret_is_no_fault(tmp_path: Path, crds: Crds) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(PLAIN)
    assert check_file(path, crds).faults == ()
