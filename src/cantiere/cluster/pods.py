"""Pods behind the Services of a namespace: which they are, and power over them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from cantiere.cluster.client import ApiError, KubeApi, Object
from cantiere.errors import CantiereError, Problem
from cantiere.verify.target import Output

POLL_SECONDS = 0.5
GONE_SECONDS = 120.0
READY_SECONDS = 180.0
NOT_STARTED = 126
"""Exit code of a command that the container runtime could not start, as a shell has it."""
MAIN_CONTAINER = "kubectl.kubernetes.io/default-container"
RUNNERS = ("statefulsets", "deployments")
"""What can be scaled, as the API server's paths name it."""


class Pods:
    """The pods of a namespace.

    Parameters
    ----------
    api:
        The cluster.
    namespace:
        Which.
    """

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self.path = f"/api/v1/namespaces/{namespace}"

    def service(self, name: str) -> Object:
        """A Service.

        Raises
        ------
        CantiereError
            There is none of that name.
        """
        found = self.api.get(f"{self.path}/services/{name}")
        if found is None:
            problem = f"there is no Service {name} in namespace {self.namespace}"
            raise CantiereError(Problem("cluster.service", problem, "see `./cantiere status`", path=name))
        return found

    def of(self, labels: Mapping[str, str], *, ending: bool = False) -> list[Object]:
        """The pods with these labels, the ready ones first.

        Parameters
        ----------
        labels:
            All of them; without any there are no such pods.
        ending:
            Also those that are about to end.
        """
        if not labels:
            return []
        found = self.api.list(f"{self.path}/pods", labelSelector=",".join(f"{key}={value}" for key, value in labels.items()))
        kept = [pod for pod in found if ending or "deletionTimestamp" not in pod["metadata"]]
        return sorted(kept, key=lambda pod: not ready(pod))

    def address(self, service: str, port: int, pod: str = "") -> tuple[str, int]:
        """The pod that answers for a Service, or that of its pods which is named, and the number that the Service's port has there.

        Raises
        ------
        CantiereError
            No pod is ready, or the Service has no such port.
        """
        spec = self.service(service)["spec"]
        pods = [one for one in self.of(spec.get("selector") or {}) if ready(one) and pod in ("", one["metadata"]["name"])]
        ports = {entry["port"]: entry.get("targetPort", entry["port"]) for entry in spec.get("ports") or []}
        if not pods or port not in ports:
            problem = f"Service {service} has no port {port}" if pods else f"Service {service} has no ready pod"
            raise CantiereError(Problem("cluster.service", problem, "see `./cantiere status`", path=service))
        named = {entry.get("name"): entry["containerPort"] for one in pods[0]["spec"]["containers"] for entry in one.get("ports") or []}
        return str(pods[0]["metadata"]["name"]), int(named.get(ports[port], ports[port]))


def ready(pod: Object) -> bool:
    """Whether a pod takes requests."""
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions") or [])


class PodControl:
    """Power over a facility's pods, by the names of their Services; a pod without a Service goes by its own name.

    Parameters
    ----------
    api:
        The cluster.
    namespace:
        Of the facility's services.
    """

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self.pods = Pods(api, namespace)
        self.api = api
        self._replicas: dict[str, int] = {}

    def exec(self, container: str, command: Sequence[str], timeout: float = 60.0) -> Output:
        """Run a command in a pod's main container, as its user; a failure is returned, not raised."""
        from kubernetes.client.exceptions import ApiException
        from kubernetes.stream import stream

        found = self._found(container)
        if not found:
            return Output(1, "", f"{container} has no pod")
        name, spec = found[0]["metadata"]["name"], found[0]["spec"]
        main = found[0]["metadata"].get("annotations", {}).get(MAIN_CONTAINER) or spec["containers"][0]["name"]
        options = {"container": main, "command": list(command), "stdout": True, "stderr": True, "stdin": False, "tty": False}
        try:
            call = self.api.core().connect_get_namespaced_pod_exec
            channel = stream(call, name, self.pods.namespace, _preload_content=False, **options)
            channel.run_forever(timeout=timeout)
            if channel.is_open():
                channel.close()
                return Output(124, channel.read_stdout(), f"no end within {timeout:.0f} s")
            return Output(channel.returncode or 0, channel.read_stdout(), channel.read_stderr())
        except ApiException as error:
            return Output(1, "", f"{name}: {error.reason}")
        except ValueError as error:  # the client finds a sentence where an exit code should be
            return Output(NOT_STARTED, "", f"{name}: {error}")

    def stop(self, container: str) -> None:
        """Scale what runs a Service's pods to none, and wait until they are gone."""
        runner, labels = self._runner(container), self.pods.service(container)["spec"]["selector"]
        self._replicas[container] = self._scale(runner, 0)
        _await(lambda: not self.pods.of(labels, ending=True), GONE_SECONDS, f"{container}: its pods are still there")

    def kill(self, container: str) -> None:
        """End a Service's pods at once; what runs them makes new ones."""
        for pod in self._found(container):
            self.api.delete(f"{self.pods.path}/pods/{pod['metadata']['name']}?gracePeriodSeconds=0")

    def start(self, container: str) -> None:
        """Have the pods back that were stopped or killed, and wait until they are ready."""
        if container in self._replicas:
            self._scale(self._runner(container), self._replicas.pop(container))
        _await(lambda: any(ready(pod) for pod in self._found(container)), READY_SECONDS, f"{container}: no pod of it is ready")

    def _found(self, container: str) -> list[Object]:
        service = self.api.get(f"{self.pods.path}/services/{container}")
        if service is not None:
            return self.pods.of(service["spec"].get("selector") or {})
        pod = self.api.get(f"{self.pods.path}/pods/{container}")
        return [pod] if pod is not None else []

    def _runner(self, container: str) -> str:
        """Path of what runs a Service's pods: the StatefulSet or Deployment whose pods have the labels that the Service selects.

        Raises
        ------
        CantiereError
            There is none.
        """
        wanted = self.pods.service(container)["spec"]["selector"].items()
        for kind in RUNNERS:
            path = f"/apis/apps/v1/namespaces/{self.pods.namespace}/{kind}"
            for item in self.api.list(path):
                if wanted <= item["spec"]["template"]["metadata"].get("labels", {}).items():
                    return f"{path}/{item['metadata']['name']}"
        problem = f"nothing that can be scaled runs the pods of Service {container}"
        raise CantiereError(Problem("cluster.owner", problem, "see `./cantiere status`", path=container))

    def _scale(self, runner: str, replicas: int) -> int:
        """Set the number of pods; the number before."""
        before = self.api.get(f"{runner}/scale")
        if before is None:
            raise ApiError(404, "it is gone", runner)
        self.api.patch(f"{runner}/scale", {"spec": {"replicas": replicas}})
        return int(before["spec"].get("replicas", 0))


def _await(good: Callable[[], bool], seconds: float, complaint: str) -> None:
    deadline = time.monotonic() + seconds
    while not good():
        if time.monotonic() > deadline:
            problem = f"{complaint} after {seconds:.0f} s"
            raise CantiereError(Problem("cluster.pods", problem, "see `./cantiere kubectl describe pods`"))
        time.sleep(POLL_SECONDS)
