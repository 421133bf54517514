"""Mistakes to plant in the shipped cluster files, and what is to be said of each, and where."""

from __future__ import annotations

from dataclasses import dataclass

AWS, GCP, LOCAL = "aws.yaml", "gcp.yaml", "on-premise.yaml"
JOB, CLUSTER = "kubernetes/job/rayjob.yaml", "kubernetes/cluster/raycluster.yaml"
UNIT = "workstation.service"


@dataclass(frozen=True, slots=True)
class Mistake:
    file: str
    old: str
    """Replaced where it stands first."""

    new: str
    said: str
    """Part of what is said about it."""

    at: str = ""
    """A text in the line that it is said about: in `new`, else above it, else below."""


FAULTS = {
    "an unknown key": Mistake(AWS, "upscaling_speed", "upscale_speed", "upscaling_speed, perhaps"),
    "an unknown key of a type": Mistake(
        AWS, "max_workers: 16", "max_worker: 16", "max_workers, perhaps"
    ),
    "a number as a text": Mistake(GCP, "minutes: 5", 'minutes: "5"', "must be of type number"),
    "a head that is no type": Mistake(
        GCP, "head_node_type: head", "head_node_type: main", "must be one"
    ),
    "too few workers": Mistake(AWS, "max_workers: 18", "max_workers: -1", "minimum must be 0"),
    "an unknown key of docker": Mistake(LOCAL, "pull_before_run", "pull_before", "pull_before_run"),
    "a parameter of EC2": Mistake(
        AWS, "InstanceType: g5", "InstanceTyp: g5", "InstanceType, perhaps"
    ),
    "a wrong type for EC2": Mistake(
        AWS, "VolumeSize: 100", "VolumeSize: 100 GB", "of type integer"
    ),
    "a market EC2 has not": Mistake(
        AWS, "MarketType: spot", "MarketType: spots", "must be spot, perhaps"
    ),
    "a field of GCE": Mistake(GCP, "machineType", "machinetype", "machineType, perhaps"),
    "a value GCE has not": Mistake(
        GCP, "provisioningModel: SPOT", "provisioningModel: SPOTS", "SPOT, p"
    ),
    "a wrong type for GCE": Mistake(GCP, "autoDelete: true", "autoDelete: 2", "of type boolean"),
    "an open dashboard": Mistake(
        AWS, "host=127.0.0.1", "host=0.0.0.0", "--dashboard-host is 0.0.0.0"
    ),
    "trials on the head": Mistake(GCP, "--num-cpus=0", "--num-cpus=4", "add --num-cpus=0"),
    "no autoscaler": Mistake(
        LOCAL, "--autoscaling-config", "--auto", "has no --autoscaling-config"
    ),
    "trials on its type": Mistake(AWS, "resources: { CPU: 0 }", "resources: {}", "CPU of the head"),
    "public addresses": Mistake(AWS, "internal_ips: true", "internal_ips: false", "is not true"),
    "IMDSv1": Mistake(
        AWS, "HttpTokens: required", "HttpTokens: optional", "HttpTokens: required (IMDSv2"
    ),
    "a long way to IMDS": Mistake(AWS, "HopLimit: 2", "HopLimit: 3", "must be at most 2"),
    "a field of a RayJob": Mistake(JOB, "backoffLimit", "backofLimit", "backoffLimit, perhaps"),
    "a field of a pod": Mistake(JOB, "runAsNonRoot", "runAsNonRot", "runAsNonRoot, perhaps"),
    "a wrong type of KubeRay": Mistake(
        CLUSTER, "maxReplicas: 16", 'maxReplicas: "16"', "type integer"
    ),
    "a mode that is none": Mistake(
        CLUSTER, "mode: token", "mode: tokens", "must be token, perhaps"
    ),
    "another version": Mistake(CLUSTER, "ray.io/v1", "ray.io/v2", "is not in KubeRay v1.6.2"),
    "an unknown submission": Mistake(
        JOB, "K8sJobMode", "K8sMode", "must be one of K8sJobMode, HTTPMode"
    ),
    "a Ray without tokens": Mistake(CLUSTER, "2.60.0", "2.51.0", "must be 2.52.0 or newer"),
    "a capital": Mistake(JOB, "name: agad-study", "name: Agad-study", "must be lower-case letters"),
    "a long name": Mistake(
        CLUSTER,
        "name: agad",
        "name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "at most 53 characters",
    ),
    "no token": Mistake(JOB, "mode: token", "mode: disabled", "set authOptions: {mode: token}"),
    "a short grace": Mistake(
        JOB, "GracePeriodSeconds: 90", "GracePeriodSeconds: 30", "above the 30 s"
    ),
    "the old autoscaler": Mistake(CLUSTER, "version: v2", "version: v1", "is not v2; set it"),
    "the unit's dashboard": Mistake(
        UNIT, "host=127.0.0.1", "host=0.0.0.0", "--dashboard-host is 0.0.0.0"
    ),
    "a key that is no text": Mistake(AWS, "{ CPU: 0 }", "{ CPU: 0, on: 1 }", "write it in quotes"),
    "a mount that is no path": Mistake(
        GCP, "/auth: ~/.agad/auth", "/auth: [~/.agad/auth]", "Ray refuses it", at="file_mounts"
    ),
    "a key twice": Mistake(
        GCP, "max_workers: 18", "docker: {}\nmax_workers: 18", "too", at="docker:\n"
    ),
    "a nested one of EC2": Mistake(
        AWS, "VolumeType", "VolumTyp", "VolumeType, perhaps", at="VolumTyp"
    ),
    "workers that are no list": Mistake(
        LOCAL,
        "worker_ips: # CHANGE\n    - 192.0.2.11\n    - 192.0.2.12",
        "worker_ips: 192.0.2.11",
        "must be of type array",
        at="worker_ips",
    ),
    "no worker is listed": Mistake(
        LOCAL,
        "  worker_ips: # CHANGE\n    - 192.0.2.11\n    - 192.0.2.12\n",
        "",
        "Ray refuses it",
        at="provider:",
    ),
    "no node_config": Mistake(
        AWS,
        "    node_config:\n      InstanceType: m6i.xlarge",
        "    node_confg:\n      InstanceType: m6i.xlarge",
        "has no node_config; add it",
        at="  head:",
    ),
    "no profile": Mistake(
        AWS,
        "      IamInstanceProfile: { Name: agad-head }\n",
        "",
        "name a profile",
        at="    node_config:",
    ),
    "no subnets": Mistake(
        AWS,
        "      SubnetIds: [subnet-0123456789abcdef0] # CHANGE: private, with",
        "      #",
        "name private subnets",
        at="    node_config:",
    ),
    "no token on workers": Mistake(
        GCP,
        "ulimit -n 65536; ray start --address",
        "RAY_AUTH_MODE=disabled ray start --address",
        "runs without a token",
        at="RAY_AUTH_MODE=disabled",
    ),
    "no token at all": Mistake(
        LOCAL,
        "    - --env RAY_AUTH_MODE=token\n",
        "",
        "ray start on the head runs without a token",
        at="ray start --head",
    ),
    "no commands": Mistake(
        AWS,
        "head_start_ray_commands:",
        "head_start_commands:",
        "Ray's own command opens the dashboard",
        at="cluster_name",
    ),
    "a public address": Mistake(
        GCP,
        "- subnetwork: projects/",
        "- accessConfigs: [{ type: ONE_TO_ONE_NAT }]\n          subnetwork: projects/",
        "gives a public address",
        at="accessConfigs",
    ),
    "everyone by ssh": Mistake(
        AWS,
        "  cache_stopped_nodes: false",
        "  cache_stopped_nodes: false\n"
        "  security_group:\n"
        "    IpPermissions:\n"
        "      - { FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: 0.0.0.0/0 }] }",
        "lets every address in",
        at="- { FromPort",
    ),
    "a restarting head": Mistake(
        JOB,
        "          restartPolicy: Never\n          securityContext: &pod",
        "          restartPolicy: Always\n          securityContext: &pod",
        "must be Never under autoscaler v2",
        at="restartPolicy: Always",
    ),
    "suspended, and kept": Mistake(
        JOB,
        "  shutdownAfterJobFinishes: true\n  ttlSecondsAfterFinished: 600",
        "  suspend: true",
        "needs shutdownAfterJobFinishes: true",
        at="suspend: true",
    ),
    "an age, and kept": Mistake(
        JOB,
        "  shutdownAfterJobFinishes: true\n",
        "",
        "needs shutdownAfterJobFinishes: true",
        at="ttlSecondsAfterFinished",
    ),
    "retries by hand": Mistake(
        JOB,
        "submissionMode: K8sJobMode",
        "submissionMode: InteractiveMode",
        "must be 0 in InteractiveMode",
        at="backoffLimit",
    ),
    "retries of another's cluster": Mistake(
        JOB,
        "  backoffLimit: 2",
        "  clusterSelector: { ray.io/cluster: agad }\n  backoffLimit: 2",
        "does not go with clusterSelector",
        at="backoffLimit",
    ),
    "a token of Kubernetes": Mistake(
        JOB,
        "authOptions: { mode: token }",
        "authOptions:\n      mode: token\n      enableK8sTokenAuth: true",
        "does not go with a RayJob",
        at="enableK8sTokenAuth",
    ),
    "rules and a shutdown": Mistake(
        JOB,
        "  backoffLimit: 2",
        "  deletionStrategy:\n"
        "    deletionRules:\n"
        "      - { policy: DeleteCluster, condition: { jobStatus: FAILED, ttlSeconds: 9 } }\n"
        "  backoffLimit: 2",
        "does not go with shutdownAfterJobFinishes",
        at="deletionRules",
    ),
    "workers deleted while they scale": Mistake(
        JOB,
        "  shutdownAfterJobFinishes: true\n  ttlSecondsAfterFinished: 600",
        "  deletionStrategy:\n"
        "    deletionRules:\n"
        "      - policy: DeleteWorkers\n"
        "        condition: { jobStatus: FAILED, ttlSeconds: 9 }",
        "does not go with enableInTreeAutoscaling",
        at="policy: DeleteWorkers",
    ),
    "Redis' password to ray start": Mistake(
        CLUSTER,
        '  headGroupSpec:\n    rayStartParams: { num-cpus: "0" }',
        "  gcsFaultToleranceOptions: { redisAddress: redis:6379 }\n"
        "  headGroupSpec:\n"
        "    rayStartParams:\n"
        '      num-cpus: "0"\n'
        "      redis-password: $REDIS_PASSWORD",
        "use its redisPassword.valueFrom",
        at="redis-password",
    ),
    "resources twice": Mistake(
        CLUSTER,
        "      rayStartParams: {}",
        '      rayStartParams: { num-gpus: "1" }\n      resources: { GPU: "1" }',
        "keep one",
        at="resources: { GPU",
    ),
    "labels to ray start": Mistake(
        CLUSTER,
        "      rayStartParams: {}",
        "      rayStartParams:\n        labels: a=b",
        "is refused; use",
        at="labels: a=b",
    ),
    "the autoscaler by its variable": Mistake(
        CLUSTER,
        "- name: AGAD_STORE",
        "- { name: RAY_enable_autoscaler_v2, value: x }\n              - name: AGAD_STORE",
        "say autoscalerOptions.version",
        at="headGroupSpec",
    ),
    "trials on the head pod": Mistake(
        CLUSTER,
        'rayStartParams: { num-cpus: "0" }',
        'rayStartParams:\n      num-cpus: "2"',
        "gives its cores to trials",
        at='num-cpus: "2"',
    ),
    "a longer drain": Mistake(
        JOB,
        "- name: ray-worker",
        "- name: ray-worker\n"
        "                env: [{ name: RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S, value: '90' }]",
        "must be above the 90 s",
        at="terminationGracePeriodSeconds",
    ),
    "a public service": Mistake(
        CLUSTER,
        "  headGroupSpec:",
        "  headGroupSpec:\n    headService:\n      spec:\n        type: LoadBalancer",
        "use kubectl port-forward",
        at="type: LoadBalancer",
    ),
    "an ingress": Mistake(
        CLUSTER,
        "  headGroupSpec:",
        "  headGroupSpec:\n    enableIngress: true",
        "which opens the dashboard",
        at="enableIngress",
    ),
    "root": Mistake(
        CLUSTER,
        "runAsNonRoot: true",
        "runAsNonRoot: false",
        "may run as root",
        at="- name: ray-head",
    ),
    "a privileged pod": Mistake(
        CLUSTER,
        "            allowPrivilegeEscalation: false",
        "            privileged: true",
        "privileged is true; leave it out",
        at="privileged: true",
    ),
    "the host's network": Mistake(
        CLUSTER,
        "      serviceAccountName: agad",
        "      serviceAccountName: agad\n        hostNetwork: true",
        "which opens the node to the pod",
        at="hostNetwork",
    ),
    "a unit without a token": Mistake(
        UNIT,
        "Environment=RAY_AUTH_MODE=token\n",
        "",
        "set Environment=RAY_AUTH_MODE=token",
        at="ExecStart",
    ),
}

WARNINGS = {
    "workers that are always paid for": Mistake(
        AWS,
        "min_workers: 0\n    max_workers: 16",
        "min_workers: 1\n    max_workers: 16",
        "paid for",
        at="min_workers: 1",
    ),
    "pods that are always paid for": Mistake(
        JOB, "minReplicas: 0", "minReplicas: 1", "paid for", at="minReplicas: 1"
    ),
    "more workers than hosts": Mistake(
        LOCAL,
        "upscaling_speed:",
        "max_workers: 9\nupscaling_speed:",
        "has 2 hosts",
        at="max_workers",
    ),
    "nodes that stop": Mistake(
        AWS,
        "cache_stopped_nodes: false",
        "cache_stopped_nodes: true",
        "their disks",
        at="cache_stopped_nodes",
    ),
    "a long idle time": Mistake(
        GCP, "idle_timeout_minutes: 5", "idle_timeout_minutes: 60", "5 is enough", at="idle_timeout"
    ),
    "an image of any day": Mistake(
        LOCAL, "agad:0.1.0-gpu", "agad:latest", "name a version", at="agad:latest"
    ),
    "a pod's image of any day": Mistake(JOB, "agad:0.1.0-gpu", "agad", "name a version"),
    "an instance type of tomorrow": Mistake(
        AWS, "InstanceType: g5.xlarge", "InstanceType: g9.xlarge", "must be", at="InstanceType: g9"
    ),
    "spot alone": Mistake(
        AWS, "    priority: 10", "    priority: 0", "no type on demand", at="  gpu-spot:"
    ),
    "a queue and an autoscaler": Mistake(
        JOB,
        "  name: agad-study",
        "  name: agad-study\n  labels:\n    kueue.x-k8s.io/queue-name: q",
        "Kueue admits none",
        at="kueue",
    ),
}
