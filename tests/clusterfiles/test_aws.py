"""The AWS file taken as far as instances, on moto's EC2 and IAM."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias, cast

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

from tests.clusterfiles.conftest import SHIPPED

REGION = "us-east-1"
PLACEHOLDERS = {"ImageId": "ami-0123456789abcdef0", "SubnetIds": ["subnet-0123456789abcdef0"]}


Answer: TypeAlias = dict[str, list[dict[str, Any]]]


class Ec2(Protocol):
    """What is asked of a client of EC2."""

    def describe_images(self, *, Owners: list[str]) -> Answer: ...  # noqa: N803

    def describe_instances(self) -> Answer: ...

    def describe_subnets(self, *, Filters: list[Any]) -> Answer: ...  # noqa: N803


@pytest.fixture(scope="module")
def ec2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ec2]:
    """Point the environment at a cloud with the two instance profiles; yield its EC2.

    One for the module: Ray keeps its clients, with their endpoint, as long as the process lives.
    """
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    home = tmp_path_factory.mktemp("home")
    nowhere = str(home / "nowhere")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"):
            patch.delenv(name, raising=False)
        for name, value in {
            "HOME": str(home),  # Ray makes a key pair in it.
            "AWS_CONFIG_FILE": nowhere,
            "AWS_SHARED_CREDENTIALS_FILE": nowhere,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "a-key",
            "AWS_SECRET_ACCESS_KEY": "a-secret",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "no_proxy": "127.0.0.1",
        }.items():
            patch.setenv(name, value)
        iam = boto3.client("iam", region_name=REGION)
        for name in ("agad-head", "agad-worker"):
            iam.create_instance_profile(InstanceProfileName=name)
        client = boto3.client("ec2", region_name=REGION)
        yield cast("Ec2", client)
        client.close()
        iam.close()
    server.stop()


@pytest.fixture(scope="module")
def config(ec2: Ec2) -> dict[str, Any]:
    """The shipped file, with an image and private subnets of that cloud for its placeholders."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    subnets = ec2.describe_subnets(
        Filters=[{"Name": "availability-zone", "Values": [f"{REGION}a", f"{REGION}b"]}]
    )["Subnets"]
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    shipped = yaml.safe_load((SHIPPED / "aws.yaml").read_text())
    for node_type in shipped["available_node_types"].values():
        assert {key: node_type["node_config"][key] for key in PLACEHOLDERS} == PLACEHOLDERS
        node_type["node_config"] |= {
            "ImageId": image,
            "SubnetIds": [subnet["SubnetId"] for subnet in subnets],
        }
    prepared: dict[str, Any] = prepare_config(shipped)
    validate_config(prepared)
    return prepared


@pytest.fixture(scope="module")
def bootstrapped(config: dict[str, Any]) -> dict[str, Any]:
    from ray.autoscaler._private import commands

    done: dict[str, Any] = commands._bootstrap_config(config, no_config_cache=True)
    return done


def test_bootstrap_resolves_node_types_and_keeps_their_profiles(
    bootstrapped: dict[str, Any],
) -> None:
    types = bootstrapped["available_node_types"]
    assert types["head"]["resources"]["CPU"] == 0
    for name in ("gpu-spot", "gpu-ondemand"):
        resources = types[name]["resources"]
        assert (resources["CPU"], resources["GPU"]) == (4, 1)
        assert resources["accelerator_type:A10G"] == 1
        assert types[name]["node_config"]["IamInstanceProfile"] == {"Name": "agad-worker"}
    assert types["head"]["node_config"]["IamInstanceProfile"] == {"Name": "agad-head"}


@pytest.mark.parametrize(
    ("name", "lifecycle"), [("gpu-spot", "spot"), ("gpu-ondemand", None)], ids=["spot", "on-demand"]
)
def test_a_worker_starts_with_its_market_its_profile_and_imdsv2(
    ec2: Ec2, bootstrapped: dict[str, Any], name: str, lifecycle: str | None
) -> None:
    (created,) = _create(bootstrapped, name)
    instance = _instances(ec2)[created]
    assert instance.get("InstanceLifecycle") == lifecycle
    assert instance["IamInstanceProfile"]["Arn"].endswith("/agad-worker")
    assert instance["InstanceType"] == "g5.xlarge"
    assert instance["MetadataOptions"]["HttpTokens"] == "required"


def test_ec2_refuses_what_the_check_finds_without_it(
    ec2: Ec2, bootstrapped: dict[str, Any]
) -> None:
    from botocore.exceptions import ParamValidationError

    wrong = copy.deepcopy(bootstrapped)
    node_config = wrong["available_node_types"]["gpu-spot"]["node_config"]
    node_config["InstanceTyp"] = node_config.pop("InstanceType")
    before = _instances(ec2).keys()
    with pytest.raises(ParamValidationError, match='Unknown parameter in input: "InstanceTyp"'):
        _create(wrong, "gpu-spot")
    assert _instances(ec2).keys() == before


def _create(config: dict[str, Any], name: str) -> list[str]:
    """Start a worker as the autoscaler does; return its instance's id."""
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
    from ray.autoscaler.tags import (
        NODE_KIND_WORKER,
        STATUS_UNINITIALIZED,
        TAG_RAY_NODE_KIND,
        TAG_RAY_NODE_NAME,
        TAG_RAY_NODE_STATUS,
        TAG_RAY_USER_NODE_TYPE,
    )

    tags = {
        TAG_RAY_NODE_NAME: "agad-worker",
        TAG_RAY_NODE_KIND: NODE_KIND_WORKER,
        TAG_RAY_NODE_STATUS: STATUS_UNINITIALIZED,
        TAG_RAY_USER_NODE_TYPE: name,
    }
    provider: Any = AWSNodeProvider  # It has no types.
    made = provider(config["provider"], config["cluster_name"])
    return list(made.create_node(config["available_node_types"][name]["node_config"], tags, 1))


def _instances(ec2: Ec2) -> dict[str, dict[str, Any]]:
    return {
        instance["InstanceId"]: instance
        for reservation in ec2.describe_instances()["Reservations"]
        for instance in reservation["Instances"]
    }
