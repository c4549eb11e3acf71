"""Use the cluster for real: pods on every node, names, services, network policies, a volume that outlives its pod."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from cantiere import supply
from cantiere.errors import CantiereError
from cantiere.kubernetes import trial
from cantiere.machines import nodes
from cantiere.machines.fleet import ARCHITECTURE, Fleet
from cantiere.machines.wanted import in_cluster
from cantiere.verify.result import Result, StepFailed, require

ROLLOUT_SECONDS = 120
HTTP_SECONDS = 3
NETWORK_SECONDS = 45.0
"""How long routes, rules and names may take to reach every machine."""
FOUNDATIONS = ("ready", "pods")
"""Steps that the others build on."""


class Trial:
    """A namespace of its own in which the cluster is used.

    Parameters
    ----------
    fleet:
        The machines.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.machines = [machine for machine in fleet.machines() if in_cluster(machine)]
        self.image = str(supply.placed(["tools-image"], fleet.site, ARCHITECTURE)[0]["references"][0])
        self.helper = ""
        self.pods: dict[str, tuple[str, str]] = {}

    def kubectl(self, arguments: str, given: object = None, timeout: float = 60.0) -> str:
        """Run kubectl on the control plane; an object is handed over on standard input."""
        stdin = json.dumps(given) if given is not None else None
        return self.fleet.ssh.must(self.helper, f"{nodes.KUBECTL} {arguments}", stdin=stdin, timeout=timeout)

    def inside(self, pod: str, command: str) -> tuple[bool, str]:
        """Run a shell command inside a pod; whether it succeeded, and what it printed."""
        line = f"{nodes.KUBECTL} -n {trial.NAMESPACE} exec {pod} -- sh -c '{command}'"
        done = self.fleet.ssh.run(self.helper, line, timeout=40)
        return done.returncode == 0, (done.stdout + done.stderr).strip()

    def get(self, pod: str, url: str) -> tuple[bool, str]:
        """Fetch a URL from inside a pod."""
        return self.inside(pod, f"wget -q -T {HTTP_SECONDS} -O - {url}")

    def ready(self) -> str:
        """Every machine of the cluster is a node that is ready."""
        controls = [machine for machine in self.machines if machine.controls]
        seen = nodes.see(self.fleet.ssh, controls)
        late = [machine.name for machine in self.machines if machine.name not in seen.nodes or not seen.nodes[machine.name].ready]
        _expect(not late, f"not ready: {', '.join(late)}")
        self.helper = next(
            machine.name for machine in controls if self.fleet.ssh.run(machine.name, f"test -f {nodes.ADMIN}").returncode == 0
        )
        return f"{len(seen.nodes)} nodes with Kubernetes {', '.join(sorted({node.version for node in seen.nodes.values()}))}"

    def placed(self) -> str:
        """A pod runs on every node."""
        self.kubectl("apply -f -", trial.everywhere(self.image))
        self.kubectl(f"-n {trial.NAMESPACE} rollout status ds/{trial.NAME} --timeout={ROLLOUT_SECONDS}s", timeout=ROLLOUT_SECONDS + 20)
        found = json.loads(self.kubectl(f"-n {trial.NAMESPACE} get pods -l app={trial.NAME} -o json"))["items"]
        self.pods = {item["spec"]["nodeName"]: (item["metadata"]["name"], item["status"]["podIP"]) for item in found}
        _expect(len(self.pods) == len(self.machines), f"pods on {sorted(self.pods)}")
        return f"{len(self.pods)} pods on {len(self.pods)} nodes"

    def across(self) -> str:
        """Every pod reaches every other, whatever machine it is on."""
        urls = " ".join(f"http://{address}:{trial.PORT}/" for _, address in self.pods.values())
        command = f"for url in {urls}; do wget -q -T {HTTP_SECONDS} -O /dev/null $url || echo $url; done"

        def failed() -> str:
            said = {node: self.inside(pod, command) for node, (pod, _) in self.pods.items()}
            return "; ".join(f"{node}: {text}" for node, (good, text) in said.items() if not good or text)

        waited = _await(lambda: not failed(), lambda: f"no connection from {failed()}")
        return f"{len(self.pods) ** 2} connections, all of them after {waited:.1f} s"

    def names(self) -> str:
        """Services are found by name, from every node."""
        url = f"http://{trial.NAME}.{trial.NAMESPACE}.svc.cluster.local:{trial.PORT}/"

        def failed() -> dict[str, str]:
            return {node: text for node, (pod, _) in self.pods.items() for good, text in [self.get(pod, url)] if not good}

        waited = _await(lambda: not failed(), lambda: f"{url}: {failed()}")
        return f"{url} after {waited:.1f} s"

    def service(self) -> str:
        """A service answers on its port of every machine, asked from another machine."""
        port = int(self.kubectl(f"-n {trial.NAMESPACE} get svc {trial.NAME} -o jsonpath={{.spec.ports[0].nodePort}}"))
        asker = self.machines[-1].name
        fetch = "import sys,urllib.request as r; [r.urlopen(u, timeout=5).read() for u in sys.argv[1:]]"
        urls = [f"http://{machine.address}:{port}/" for machine in self.machines]

        def failed() -> str:
            done = self.fleet.ssh.run(asker, ["python3", "-c", fetch, *urls], timeout=60)
            return (done.stderr.strip() or "no answer").splitlines()[-1] if done.returncode else ""

        waited = _await(lambda: not failed(), lambda: f"port {port}, asked from {asker}: {failed()}")
        return f"port {port} of {len(urls)} machines, asked from {asker}, after {waited:.1f} s"

    def policy(self) -> str:
        """A network policy blocks whom it must and nobody else, on the same machine and on others; without it all pass again."""
        server, address = next(iter(self.pods.values()))
        url = f"http://{address}:{trial.PORT}/"
        self.kubectl("apply -f -", trial.policy())
        self.kubectl("apply -f -", trial.allowed(self.image))
        self.kubectl(f"-n {trial.NAMESPACE} wait pod/{trial.ALLOWED} --for=condition=Ready --timeout=60s", timeout=80)
        others = [pod for pod, _ in self.pods.values() if pod != server]
        blocked = _await(lambda: not any(self.get(pod, url)[0] for pod in others), lambda: "the policy blocks nobody")
        let = _await(lambda: self.get(trial.ALLOWED, url)[0], lambda: "the policy blocks whom it allows")
        self.kubectl(f"-n {trial.NAMESPACE} delete networkpolicy {trial.NAME}")
        _await(lambda: all(self.get(pod, url)[0] for pod in others), lambda: "the policy is deleted and blocks still")
        return f"{len(others)} pods blocked after {blocked:.1f} s, one allowed after {let:.1f} s more"

    def volume(self) -> str:
        """What a pod writes into a volume is there for the pod that comes after it."""
        shared = self.fleet.site.provider.get("shared") or []
        workers = [machine.name for machine in self.machines if not machine.controls] or [self.machines[0].name]
        first, second = (workers[0], workers[-1]) if shared else (workers[0], workers[0])
        folder = str(self.fleet.site.state_dir / shared[0] / "cantiere-verify") if shared else "/var/local-path/cantiere-verify"
        written = f"written {time.time():.0f}"
        self.kubectl("apply -f -", trial.volume(folder))
        self._holder(first)
        self.inside(trial.HOLDER, f"echo {written} > /data/note")
        self.kubectl(f"-n {trial.NAMESPACE} delete pod {trial.HOLDER} --wait", timeout=80)
        self._holder(second)
        _, found = self.inside(trial.HOLDER, "cat /data/note")
        _expect(found == written, f"{found!r} in place of {written!r}")
        return f"written on {first}, read on {second}"

    def _holder(self, node: str) -> None:
        self.kubectl("apply -f -", trial.holder(self.image, node))
        self.kubectl(f"-n {trial.NAMESPACE} wait pod/{trial.HOLDER} --for=condition=Ready --timeout=90s", timeout=110)

    def clean(self) -> None:
        """Remove everything that was made."""
        if self.helper:
            self.kubectl(f"delete namespace {trial.NAMESPACE} --ignore-not-found --wait", timeout=120)
            self.kubectl(f"delete pv {trial.NAME} --ignore-not-found")


STEPS: Mapping[str, Callable[[Trial], str]] = {
    "ready": Trial.ready,
    "pods": Trial.placed,
    "across": Trial.across,
    "names": Trial.names,
    "service": Trial.service,
    "policy": Trial.policy,
    "volume": Trial.volume,
}


def verify(fleet: Fleet, only: Sequence[str], report: Callable[[Result], None]) -> list[Result]:
    """Use a cluster; a step that fails leaves out those that build on it.

    Parameters
    ----------
    fleet:
        Its machines.
    only:
        Names of steps, to which those that they build on are added; all where empty.
    report:
        Called with each result as soon as it is there.
    """
    made = Trial(fleet)
    results: list[Result] = []
    broken = ""
    try:
        for name, step in STEPS.items():
            if only and name not in (*only, *FOUNDATIONS):
                continue
            result = _done(name, (step.__doc__ or "").strip(), partial(step, made), broken)
            results.append(result)
            if result.ok is False and name in FOUNDATIONS:
                broken = name
            report(result)
    finally:
        made.clean()
    return results


def _done(name: str, title: str, step: Callable[[], str], broken: str) -> Result:
    if broken:
        return Result(name, title, None, 0.0, f"left out, because {broken} failed")
    began = time.monotonic()
    try:
        evidence = step()
    except StepFailed as error:
        return Result(name, title, False, time.monotonic() - began, error.evidence, error.remedy)
    except CantiereError as error:
        return Result(name, title, False, time.monotonic() - began, error.problems[0].message, error.problems[0].remedy)
    return Result(name, title, True, time.monotonic() - began, evidence)


def _expect(good: bool, message: str) -> None:
    require(good, message, "see `./cantiere kubectl get pods -A -o wide`")


def _await(good: Callable[[], bool], message: Callable[[], str]) -> float:
    """Wait until something holds; the seconds that it took."""
    began = time.monotonic()
    while not good():
        if time.monotonic() > began + NETWORK_SECONDS:
            _expect(False, f"{message()}, after {NETWORK_SECONDS:.0f} s")
        time.sleep(1)
    return time.monotonic() - began
