"""Every cluster file that this project ships is without a fault, and each says its cost first."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.gcp.config import (
    DEFAULT_SERVICE_ACCOUNT_ID,
    DEFAULT_SERVICE_ACCOUNT_ROLES,
)

from agad.clusterfiles import Crds, check_file, read_crds
from agad.records import PACKAGE_COMMIT
from tests.clusterfiles.conftest import LAUNCHED, MANIFESTS, SHIPPED

README = (SHIPPED / "README.md").read_text()
UNIT = "workstation.service"
FILES = sorted(
    str(path.relative_to(SHIPPED))
    for path in SHIPPED.rglob("*")
    if path.suffix in (".yaml", ".service")
)
OVERLAYS = sorted(path.name for path in (SHIPPED / "kubernetes" / "overlays").iterdir())
REAL_CRDS = sorted((SHIPPED.parents[1] / "shared" / "data" / "kuberay").glob("*.yaml.gz"))


@pytest.mark.parametrize("name", FILES)
def test_a_shipped_file_has_no_fault_and_no_warning(name: str, crds: Crds) -> None:
    assert check_file(SHIPPED / name, crds).faults == ()


@pytest.mark.parametrize("name", [*LAUNCHED, *MANIFESTS, UNIT])
def test_a_shipped_cluster_says_what_an_hour_costs_in_its_first_line(name: str) -> None:
    first = (SHIPPED / name).read_text().splitlines()[0]
    assert first.startswith("# Cost per hour: ")


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_shipped_manifest_obeys_kuberays_own_definitions(name: str) -> None:
    if not REAL_CRDS:
        pytest.skip("no KubeRay definitions in ../shared/data/kuberay")
    crds = read_crds(REAL_CRDS)
    checked = check_file(SHIPPED / name, crds)
    assert checked.faults == ()
    assert "kuberay" in checked.kinds[0]


def test_the_shipped_definitions_are_kuberays_own(crds: Crds) -> None:
    if not REAL_CRDS:
        pytest.skip("no KubeRay definitions in ../shared/data/kuberay")
    read = read_crds(REAL_CRDS).schemas
    for key in crds.schemas:
        assert crds.schemas[key]["properties"] == read[key]["properties"]


def test_job_and_cluster_describe_the_same_cluster() -> None:
    job, cluster = (yaml.safe_load((SHIPPED / name).read_text()) for name in MANIFESTS)
    assert job["spec"]["rayClusterSpec"] == cluster["spec"]


def rendered(overlay: str) -> str:
    """Return the manifests of an overlay, as `kubectl apply -k` sends them."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl, whose kustomize renders the overlays")
    folder = SHIPPED / "kubernetes" / "overlays" / overlay
    done = subprocess.run(
        ["kubectl", "kustomize", folder], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_renders_to_manifests_without_a_fault(
    overlay: str, tmp_path: Path, crds: Crds
) -> None:
    path = tmp_path / "rendered.yaml"
    path.write_text(rendered(overlay))
    checked = check_file(path, crds)
    assert checked.faults == ()
    assert [kind for kind in checked.kinds if "KubeRay" in kind]


@pytest.mark.parametrize(
    ("overlay", "wanted"),
    [
        ("gke-job", "cloud.google.com/compute-class: agad-gpu"),
        ("gke-cluster", "iam.gke.io/gcp-service-account"),
        ("eks-job", "eks.amazonaws.com/role-arn"),
        ("eks-cluster", "karpenter.sh/capacity-type"),
        ("kueue-job", "kueue.x-k8s.io/queue-name: gpu-queue"),
    ],
)
def test_an_overlay_changes_what_it_is_for(overlay: str, wanted: str) -> None:
    assert wanted in rendered(overlay)


def test_the_readme_lets_the_head_of_google_cloud_pull_the_image() -> None:
    # Ray's own roles let it not: what this test is for ends when they do.
    assert not [role for role in DEFAULT_SERVICE_ACCOUNT_ROLES if "artifactregistry" in role]
    steps = README.partition("\n## Google Cloud\n")[2].partition("\n## ")[0]
    accounts = f"for ACCOUNT in {DEFAULT_SERVICE_ACCOUNT_ID} agad-worker; do"
    for step in (accounts, "service-accounts create $ACCOUNT", "roles/artifactregistry.reader"):
        assert step in steps
    named = re.findall(r"email: (\S+?)@", (SHIPPED / "gcp.yaml").read_text())
    assert set(named) == {"agad-worker"}


def test_the_readme_binds_the_pods_of_gke_to_the_account_that_they_are_annotated_with() -> None:
    component = yaml.safe_load(
        (SHIPPED / "kubernetes/components/gke/kustomization.yaml").read_text()
    )
    (patch,) = (one for one in component["patches"] if one["target"]["kind"] == "ServiceAccount")
    (change,) = yaml.safe_load(patch["patch"])
    account = change["value"]["iam.gke.io/gcp-service-account"]
    project = account.partition("@")[2].partition(".")[0]
    member = f"serviceAccount:{project}.svc.id.goog[NAMESPACE/{patch['target']['name']}]"
    binding = README.partition(f"service-accounts add-iam-policy-binding {account}")[2]
    assert "--role roles/iam.workloadIdentityUser" in binding.split("\n\n")[0]
    assert member in binding.split("\n\n")[0]


def test_the_image_passes_the_linter() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [linter, "--no-color", SHIPPED / "Dockerfile"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_has_the_versions_of_the_constraints() -> None:
    constraints = (SHIPPED.parent / "constraints.txt").read_text()
    image = (SHIPPED / "Dockerfile").read_text()
    assert "ray==2.60.0\n" in constraints
    assert "torch==2.13.0\n" in constraints
    for target in ("gpu", "cpu"):
        assert f"FROM rayproject/ray:2.60.0-py311-{target} AS {target}" in image
    assert "'torch==2.13.0+cpu'" in image
    assert image.rstrip().endswith("USER 1000:100")


def test_the_files_ask_for_the_driver_of_the_cuda_that_the_image_has() -> None:
    # torch 2.13.0 of PyPI requires cuda-toolkit 13.0.3, whose drivers begin with 580.
    assert 'assert torch.version.cuda.startswith("13.")' in (SHIPPED / "Dockerfile").read_text()
    texts = [README, *((SHIPPED / name).read_text() for name in LAUNCHED)]
    for text in texts:
        assert "580 or newer" in " ".join(text.replace("\n#", " ").split())
        assert "CUDA 12" not in text
    classes = yaml.safe_load((SHIPPED / "kubernetes/components/gke/computeclass.yaml").read_text())
    gpus = [one["gpu"] for one in classes["spec"]["priorities"]]
    assert {gpu["driverVersion"] for gpu in gpus} == {"latest"}


@pytest.mark.parametrize("target", ["gpu", "cpu"])
def test_the_user_of_the_image_has_the_folders_that_mounts_lie_in(target: str) -> None:
    steps = _steps(target)
    made = next(step.split() for step in steps if step.startswith("RUN mkdir -p "))
    assert {"/home/ray/.agad/cache", "/home/ray/.agad/spool"} <= set(made)
    for name in LAUNCHED:
        mounts = yaml.safe_load((SHIPPED / name).read_text())["file_mounts"]
        assert mounts
        assert set(mounts) <= set(made)
    # Ray's image has the user ray, so that what is made before another USER is his.
    assert [step for step in steps if step.startswith("USER")] == ["USER 1000:100"]
    assert steps[-1] == "USER 1000:100"


@pytest.mark.parametrize("target", ["gpu", "cpu"])
def test_the_image_tells_the_commit_that_it_was_built_with(target: str) -> None:
    steps = _steps(target)
    # Behind what takes minutes, which another commit would else run again.
    install = next(at for at, step in enumerate(steps) if step.startswith("RUN pip install"))
    assert steps[install + 1 : install + 3] == ['ARG COMMIT=""', f"ENV {PACKAGE_COMMIT}=$COMMIT"]


def _steps(target: str) -> list[str]:
    """Return the instructions of one target of the image, each on one line."""
    text = re.sub(r"^#.*\n", "", (SHIPPED / "Dockerfile").read_text(), flags=re.MULTILINE)
    stages = re.split(r"^FROM \S+ AS ", text.replace("\\\n", " "), flags=re.MULTILINE)
    (stage,) = (stage for stage in stages if stage.startswith(f"{target}\n"))
    return [line for line in stage.splitlines()[1:] if line]
