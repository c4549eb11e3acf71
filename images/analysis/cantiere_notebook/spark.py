"""Spark's defaults for this notebook: the driver is here, its executors are pods of the facility's namespace for computations."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from cantiere_notebook import computing

EXECUTOR = "/opt/analysis/bin/spark-executor"
EXECUTORS = 2
"""How many there are unless the user says otherwise."""
DRIVER_SHARE = 3
"""Part of the notebook's memory that Java may take: one of so many."""
API_PATIENCE = "60000"
"""Milliseconds that the API server may take to answer; a busy machine takes more than Spark's own ten seconds."""
MIB = 1 << 20
LEAST, MOST = 512, 4096
"""MiB that the driver's Java has at least and at most."""
OVERHEAD = 0.4
"""Part of an executor's memory that Python has, beside Java."""


def prepare(folder: Path) -> None:
    """Write ``spark-defaults.conf`` and the pods' template into a folder, and have this process' children use it.

    Parameters
    ----------
    folder:
        It is made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    template = folder / "executor.json"
    template.write_text(json.dumps(pod(), indent=2) + "\n", encoding="utf-8")
    told = defaults(computing.address(), template)
    text = "".join(f"{key} {_escaped(value)}\n" for key, value in told.items())
    (folder / "spark-defaults.conf").write_text(text, encoding="utf-8")
    os.environ["SPARK_CONF_DIR"] = str(folder)


def defaults(address: str, template: Path, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What Spark is told unless the user says otherwise.

    Parameters
    ----------
    address:
        Of this pod.
    template:
        File of :func:`pod`.
    environment:
        Variables of the notebook.
    """
    driver, blocks, executor, sessions = environment["CANTIERE_COMPUTE_PORTS"].split(",")
    memory = int(environment["CANTIERE_COMPUTE_MEMORY"])
    own = int(environment.get("MEM_LIMIT", 0)) // MIB // DRIVER_SHARE
    kubernetes = {
        "namespace": computing.namespace(),
        "container.image": environment["JUPYTER_IMAGE"],
        "authenticate.oauthTokenFile": str(computing.ACCOUNT / "token"),
        "authenticate.caCertFile": str(computing.ACCOUNT / "ca.crt"),
        "driver.connectionTimeout": API_PATIENCE,
        "driver.requestTimeout": API_PATIENCE,
        # it makes neither volumes nor Services, so it has none to remove
        "driver.ownPersistentVolumeClaim": "false",
        "driver.service.deleteOnTermination": "false",
        "executor.podTemplateFile": str(template),
        "executor.podTemplateContainerName": "executor",
        "executor.request.cores": environment["CANTIERE_COMPUTE_CPUS"],
        f"executor.label.{computing.OWNER}": computing.owner(),
    }
    return {
        "spark.master": f"k8s://{computing.API}:443",
        **{f"spark.kubernetes.{key}": value for key, value in kubernetes.items()},
        # a secret of each application, and nothing readable on the way between driver and executors
        "spark.authenticate": "true",
        "spark.network.crypto.enabled": "true",
        "spark.io.encryption.enabled": "true",
        "spark.driver.host": address,
        "spark.driver.port": driver,
        "spark.driver.blockManager.port": blocks,
        "spark.blockManager.port": executor,
        "spark.port.maxRetries": str(int(sessions) - 1),
        "spark.driver.memory": f"{min(max(own, LEAST), MOST)}m",
        "spark.executor.instances": str(EXECUTORS),
        "spark.executor.cores": "1",
        "spark.executor.memory": f"{int(memory / (1 + OVERHEAD))}m",
        "spark.executor.memoryOverhead": f"{memory - int(memory / (1 + OVERHEAD))}m",
        "spark.ui.enabled": "false",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        **{f"spark.executorEnv.{key}": value for key, value in computing.carried(environment).items()},
    }


def pod() -> dict[str, object]:
    """What the pod of an executor has beside what Spark puts into it."""
    container = {"name": "executor", "command": ["/usr/bin/tini", "-g", "--", EXECUTOR]}
    return {"apiVersion": "v1", "kind": "Pod", "spec": computing.specification(container)}


def _escaped(value: str) -> str:
    """A value as Java's properties write it, on one line."""
    return value.replace("\\", "\\\\").replace("\n", "\\n")
