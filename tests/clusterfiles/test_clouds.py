"""The clouds' own shapes, and the rights that the head's role gets."""

from __future__ import annotations

import json
import re
import sys

import botocore.session
import jsonschema
import pytest

from agad.clusterfiles.clouds import ec2_schema, gce_schema
from agad.errors import ConfigError
from tests.clusterfiles.conftest import SHIPPED


def test_a_64_bit_number_of_google_is_a_text_or_a_number() -> None:
    schema = gce_schema()
    for size in (100, "100"):
        disk = {"boot": True, "initializeParams": {"diskSizeGb": size}}
        assert jsonschema.Draft7Validator(schema).is_valid({"disks": [disk]})


def test_a_label_of_any_name_is_allowed_and_must_be_a_text() -> None:
    validator = jsonschema.Draft7Validator(gce_schema())
    validator.validate({"labels": {"anything": "goes"}})
    assert not validator.is_valid({"labels": {"anything": 1}})


def test_rays_own_keys_are_allowed_beside_the_clouds() -> None:
    assert jsonschema.Draft7Validator(ec2_schema()).is_valid({"SubnetIds": ["subnet-1"]})
    assert jsonschema.Draft7Validator(gce_schema()).is_valid({"sourceInstanceTemplate": "a"})


def test_without_googles_client_gcp_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    gce_schema.cache_clear()
    monkeypatch.setitem(sys.modules, "googleapiclient", None)
    with pytest.raises(ConfigError, match=re.escape("pip install 'agad[cluster]'")):
        gce_schema()


def test_the_autoscalers_policy_names_operations_that_exist() -> None:
    policy = json.loads((SHIPPED / "iam-autoscaler-policy.json").read_text())
    session = botocore.session.Session()
    known = {
        *(f"ec2:{name}" for name in session.get_service_model("ec2").operation_names),
        "iam:PassRole",
    }
    actions = [statement["Action"] for statement in policy["Statement"]]
    given = {name for action in actions for name in ([action] if action == str(action) else action)}
    assert given <= known
    assert not any("*" in name for name in given)


def test_the_autoscalers_policy_lets_it_tag_no_instance_that_it_may_then_end() -> None:
    policy = json.loads((SHIPPED / "iam-autoscaler-policy.json").read_text())
    conditions = [
        statement["Condition"]["StringEquals"]
        for statement in policy["Statement"]
        if "ec2:CreateTags" in statement["Action"]
    ]
    assert conditions == [
        {"ec2:CreateAction": "RunInstances"},
        {"ec2:ResourceTag/ray-cluster-name": "agad"},
    ]
