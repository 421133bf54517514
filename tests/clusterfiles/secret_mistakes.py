"""Secrets to plant in the shipped cluster files, and what is to be said of each, and where."""

from __future__ import annotations

from tests.clusterfiles.mistakes import AWS, CLUSTER, GCP, JOB, LOCAL, UNIT, Mistake

KEY = "AKIA" + "QWERTYUIOPASDFGH"
SECRET = "s3cr3t"

SECRETS = {
    "an access key": Mistake(
        AWS, "setup_commands: []", f"setup_commands: [echo {KEY}]", "AWS access key"
    ),
    "a token in an option": Mistake(
        LOCAL, "TOKEN_PATH=/home", "TOKEN=s3cr3t", "holds a secret in plain"
    ),
    "Google's credentials": Mistake(
        GCP,
        "project_id: my-project",
        "gcp_credentials: { type: service_account, credentials: abc }",
        "holds a secret in plain",
    ),
    "a secret of the unit": Mistake(
        UNIT, "TOKEN_PATH=%h", "TOKEN=s3cr3t", "holds a secret in plain"
    ),
    "a literal secret": Mistake(
        JOB,
        "                - name: AGAD_STORE\n"
        "                  valueFrom: { configMapKeyRef: { name: agad, key: store } }",
        "                - name: AWS_SECRET_ACCESS_KEY\n                  value: s3cr3t",
        "holds a secret in plain",
        at="value: s3cr3t",
    ),
    "a literal secret of Redis": Mistake(
        CLUSTER,
        "  headGroupSpec:",
        "  gcsFaultToleranceOptions:\n"
        "    redisAddress: redis:6379\n"
        "    redisPassword: { value: s3cr3t }\n"
        "  headGroupSpec:",
        "holds a secret in plain",
        at="redisPassword",
    ),
    "a webhook of the command": Mistake(
        JOB,
        "entrypoint: agad",
        "entrypoint: env AGAD_WEBHOOK=https://hooks.example/s3cr3t agad",
        "entrypoint holds a secret in plain",
    ),
    "a webhook of the environment": Mistake(
        JOB,
        "                - name: AGAD_STORE\n"
        "                  valueFrom: { configMapKeyRef: { name: agad, key: store } }",
        "                - name: AGAD_WEBHOOK\n                  value: https://hooks.example/s3cr3t",
        "holds a secret in plain",
        at="value: https",
    ),
    "a webhook as a flag": Mistake(
        JOB,
        "entrypoint: agad supervise",
        "entrypoint: agad supervise --notify https://hooks.example/s3cr3t",
        "entrypoint holds a webhook's address in plain",
    ),
    "a password in a URL": Mistake(
        JOB,
        "                - name: AGAD_STORE\n"
        "                  valueFrom: { configMapKeyRef: { name: agad, key: store } }",
        "                - name: MLFLOW_TRACKING_URI\n                  value: https://me:s3cr3t@host",
        "holds a URL with a password in plain",
        at="value: https",
    ),
}
