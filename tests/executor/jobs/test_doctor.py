"""The detectors of all nodes of a cluster are compared."""

from __future__ import annotations

import pytest

from agad.executor.jobs.doctor import compare_detectors

PCA = {"pca": "version 1 of agad"}


def test_equal_detectors_on_all_nodes_are_well() -> None:
    (finding,) = compare_detectors({"one": PCA, "two": dict(PCA)})
    assert (finding.check, finding.level) == ("detectors", "ok")
    assert finding.text == "pca in one version on each of 2 nodes"


def test_a_cluster_of_one_node_is_not_counted() -> None:
    (finding,) = compare_detectors({"one": PCA})
    assert finding.text == "pca in one version on the only node"


@pytest.mark.parametrize(
    ("there", "text"),
    [
        ({}, "zany: version 2 of zany 1.0 on one, none on two; install"),
        ({"zany": "version 2 of zany 1.1"}, "version 2 of zany 1.0 on one, version 2 of zany 1.1"),
        ({"zany": "version 3 of zany 1.0"}, "version 2 of zany 1.0 on one, version 3 of zany 1.0"),
    ],
    ids=["missing", "another package", "another version"],
)
def test_a_node_with_another_detector_is_a_fault(there: dict[str, str], text: str) -> None:
    here = PCA | {"zany": "version 2 of zany 1.0"}
    (finding,) = compare_detectors({"one": here, "two": PCA | there})
    assert (finding.check, finding.level) == ("detectors", "fault")
    assert text in finding.text


def test_no_node_has_nothing_to_compare() -> None:
    assert list(compare_detectors({})) == []
