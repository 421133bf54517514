"""Rules for a cluster YAML's node types: addresses, IMDSv2, an idle head, and idle cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agad.clusterfiles.document import Document, Place, spelled
from agad.clusterfiles.fault import Fault
from agad.config import count_text

_MAX_IDLE_MIN = 30
_EVERYONE = {"0.0.0.0/0", "::/0"}


def node_faults(document: Document) -> Iterator[Fault]:
    """Yield the faults of provider, node types and image under this project's rules."""
    kind = document.get(("provider", "type"))
    yield from _image_faults(document)
    if kind == "local":
        yield from _hosts_faults(document)
        return
    yield from _provider_faults(document)
    head = document.get(("head_node_type",))
    for name in document.mapping(("available_node_types",)):
        place: Place = ("available_node_types", name)
        yield from _workers_faults(document, place, is_head=name == head)
        if kind == "aws":
            yield from _aws_faults(document, (*place, "node_config"))
        if kind == "gcp":
            yield from _gcp_faults(document, (*place, "node_config"))
    yield from _fallback_faults(document, head)


def _image_faults(document: Document) -> Iterator[Fault]:
    for key in ("image", "head_image", "worker_image"):
        image = document.get(("docker", key))
        if isinstance(image, str) and is_floating(image):
            text = floating_text(f"docker.{key}")
            yield document.fault(("docker", key), text, is_warning=True)


def _hosts_faults(document: Document) -> Iterator[Fault]:
    num_hosts = len(document.items(("provider", "worker_ips")))
    workers = document.get(("max_workers",))
    if isinstance(workers, int) and workers != num_hosts:
        yield document.fault(
            ("max_workers",),
            f"max_workers is {workers}, but provider.worker_ips has "
            f"{count_text(num_hosts, 'host')}; leave it "
            "out, to take all of them.",
            is_warning=True,
        )


def is_floating(image: str) -> bool:
    """Return whether an image's name may mean another image tomorrow."""
    name = image.rpartition("/")[2]
    return "@" not in name and (":" not in name or name.endswith(":latest"))


def floating_text(what: str) -> str:
    """Return the text of a fault about a floating image."""
    return (
        f"{what} has no fixed tag, so a node that starts tomorrow may run other code than one that "
        "started today; name a version."
    )


def _provider_faults(document: Document) -> Iterator[Fault]:
    if document.get(("provider", "use_internal_ips")) is not True:
        yield document.fault(
            ("provider", "use_internal_ips"),
            "provider.use_internal_ips is not true, so Ray wants public addresses; set it.",
        )
    if document.get(("provider", "type")) == "aws" and (
        document.get(("provider", "cache_stopped_nodes")) is not False
    ):
        yield document.fault(
            ("provider", "cache_stopped_nodes"),
            "provider.cache_stopped_nodes is not false, so idle nodes are stopped, not ended, and "
            "their disks are paid for; set it to false.",
            is_warning=True,
        )
    minutes = document.get(("idle_timeout_minutes",))
    if isinstance(minutes, int | float) and minutes > _MAX_IDLE_MIN:
        yield document.fault(
            ("idle_timeout_minutes",),
            f"idle_timeout_minutes is {minutes:g}, all of it paid at the end of every study; 5 is "
            "enough.",
            is_warning=True,
        )
    rules = document.items(("provider", "security_group", "IpPermissions"))
    for index, _ in enumerate(rules):
        place: Place = ("provider", "security_group", "IpPermissions", index)
        if _EVERYONE & {str(value) for at, value in document.scalars() if at[:4] == place}:
            yield document.fault(place, f"{spelled(place)} lets every address in; name your own.")


def _workers_faults(document: Document, place: Place, *, is_head: bool) -> Iterator[Fault]:
    if is_head:
        if document.get((*place, "resources", "CPU")) != 0:
            yield document.fault(
                (*place, "resources"),
                f"{spelled(place)}.resources.CPU of the head is not 0, so trials run beside the "
                "driver; set resources: {CPU: 0}.",
            )
        return
    workers = document.get((*place, "min_workers"))
    if isinstance(workers, int) and workers > 0:
        yield document.fault(
            (*place, "min_workers"),
            f"{spelled(place)}.min_workers is {workers}: so many nodes are paid for also while no "
            "trial waits; 0 starts them when they are needed.",
            is_warning=True,
        )


def _aws_faults(document: Document, place: Place) -> Iterator[Fault]:
    config = document.mapping(place)
    options = (*place, "MetadataOptions")
    if document.get((*options, "HttpTokens")) != "required":
        yield document.fault(
            (*options, "HttpTokens"),
            f"{spelled(options)}.HttpTokens is not required, so whoever makes a node fetch a URL "
            "gets its role's credentials; set HttpTokens: required (IMDSv2).",
        )
    hops = document.get((*options, "HttpPutResponseHopLimit"))
    if isinstance(hops, int) and hops > 2:
        yield document.fault(
            (*options, "HttpPutResponseHopLimit"),
            f"{spelled(options)}.HttpPutResponseHopLimit is {hops}, but must be at most 2: the "
            "node and its container.",
        )
    if "IamInstanceProfile" not in config:
        yield document.fault(
            place,
            f"{spelled(place)} has no IamInstanceProfile, so it has no right to the store, or Ray "
            "makes a role with far too many; name a profile.",
        )
    if "LaunchTemplate" in config:
        return  # The template may set the network, which this check cannot see.
    if "SubnetIds" not in config and "NetworkInterfaces" not in config:
        yield document.fault(
            place,
            f"{spelled(place)} names no SubnetIds, and the default ones give public addresses; "
            "name private subnets.",
        )
    for index, _ in enumerate(document.items((*place, "NetworkInterfaces"))):
        at = (*place, "NetworkInterfaces", index, "AssociatePublicIpAddress")
        if document.get(at) is True:
            yield document.fault(at, f"{spelled(at)} is true, but must be false; use a NAT.")


def _gcp_faults(document: Document, place: Place) -> Iterator[Fault]:
    interfaces = document.items((*place, "networkInterfaces"))
    if not interfaces and "sourceInstanceTemplate" not in document.mapping(place):
        yield document.fault(
            place,
            f"{spelled(place)} has no networkInterfaces, and Ray's own give public addresses; name "
            "a subnetwork, without accessConfigs.",
        )
    for index, interface in enumerate(interfaces):
        if isinstance(interface, Mapping) and interface.get("accessConfigs"):
            at = (*place, "networkInterfaces", index, "accessConfigs")
            yield document.fault(
                at, f"{spelled(at)} gives a public address; leave it out, and use Cloud NAT."
            )


def _fallback_faults(document: Document, head: object) -> Iterator[Fault]:
    """Yield the first spot node type, if no on-demand type stands in for spot nodes."""
    priorities: dict[bool, list[tuple[int, object]]] = {True: [], False: []}
    for name, node_type in document.mapping(("available_node_types",)).items():
        if name != head and isinstance(node_type, Mapping):
            priority = node_type.get("priority", 0)
            rank = priority if isinstance(priority, int) else 0
            priorities[_is_spot(document, name)].append((rank, name))
    spot, on_demand = priorities[True], priorities[False]
    if spot and not (on_demand and min(on_demand)[0] < max(spot)[0]):
        place: Place = ("available_node_types", spot[0][1])
        yield document.fault(
            place,
            f"{spelled(place)} is spot, and no type on demand of a lower priority stands in where "
            "there is no spot; add one with a small max_workers.",
            is_warning=True,
        )


def _is_spot(document: Document, name: object) -> bool:
    config: Place = ("available_node_types", name, "node_config")
    return (
        document.get((*config, "InstanceMarketOptions", "MarketType")) == "spot"
        or document.get((*config, "scheduling", "provisioningModel")) == "SPOT"
        or document.get((*config, "scheduling", "preemptible")) is True
    )
