"""What may pass to the engine. Pure: whatever is not named here is refused.

The hub asks for notebook servers and for nothing else, so only the calls that DockerSpawner makes are known, each only for
containers of the facility's notebooks, and a new container only in the one shape that a notebook has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

NOTEBOOK_LABEL = "cantiere.notebook"
FACILITY_LABEL = "cantiere.facility"
CPU_PERIOD = 100_000
SMALLEST_MEMORY = 64 << 20

USER_NAME = r"[a-z0-9](?:[a-z0-9_.-]{0,62}[a-z0-9])?"
CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
SAFE_PATH = re.compile(r"[A-Za-z0-9_.:/@-]+")
VERSION = re.compile(r"/v[0-9]+\.[0-9]+(?=/)")

EMPTY_ONLY = frozenset({"MacAddress", "NetworkingConfig", "Runtime", "Healthcheck", "OnBuild", "Shell", "Domainname", "ArgsEscaped"})
FREE = frozenset(
    {
        *("Hostname", "Env", "Cmd", "Entrypoint", "WorkingDir", "StopSignal", "StopTimeout"),
        *("Tty", "OpenStdin", "StdinOnce", "AttachStdin", "AttachStdout", "AttachStderr", "NetworkDisabled"),
    }
)
"""What concerns the inside of the container only."""
CHECKED = frozenset({"Image", "User", "Labels", "ExposedPorts", "Volumes", "HostConfig"})

ACTIONS: Mapping[tuple[str, str], frozenset[str]] = {
    ("GET", "json"): frozenset(),
    ("POST", "start"): frozenset(),
    ("POST", "stop"): frozenset({"t"}),
    ("POST", "kill"): frozenset({"signal"}),
    ("DELETE", ""): frozenset({"v", "force", "link"}),
}
"""What may be done with a notebook's container, and the query parameters that go with it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a facility's notebooks may be.

    Parameters
    ----------
    prefix:
        Prefix of all names of the facility in the engine.
    network:
        The only network.
    images:
        References of images that may run.
    image_pattern:
        Regular expression of further ones, or ``""``.
    max_cpus, max_memory, max_gpus:
        Most cores, bytes and GPUs of one notebook.
    gpu_driver:
        ``cdi`` or ``nvidia``: how GPUs are asked for.
    processes:
        Most processes of one notebook.
    user:
        Who runs inside.
    home:
        Where the user's volume is mounted.
    cvmfs:
        Folder of the machine that may be mounted read-only at ``/cvmfs``, or ``""``.
    """

    prefix: str
    network: str
    images: tuple[str, ...]
    image_pattern: str
    max_cpus: int
    max_memory: int
    max_gpus: int
    gpu_driver: str
    processes: int
    user: str
    home: str
    cvmfs: str

    def image_allowed(self, reference: str) -> bool:
        """Whether an image may run."""
        return reference in self.images or bool(self.image_pattern and re.fullmatch(self.image_pattern, reference))

    def user_of(self, container: str) -> str | None:
        """The user whose notebook has that container name, or None where it is no notebook's name."""
        match = re.fullmatch(f"{re.escape(self.prefix)}-jupyter-({USER_NAME})", container)
        return match.group(1) if match else None


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to a call.

    Parameters
    ----------
    refusal:
        Why it does not pass; empty where it does.
    path:
        What is asked of the engine in its place. ``{container}`` stands for the container's identifier, once it is known to be
        a notebook.
    container:
        Name or identifier of the container that has to be a notebook first, or ``""``.
    body:
        What is sent, or None.
    """

    refusal: str = ""
    path: str = ""
    container: str = ""
    body: Mapping[str, Any] | None = field(default=None)


def refuse(why: str) -> Decision:
    """A call that does not pass."""
    return Decision(refusal=why)


def decide(method: str, target: str, body: Any, policy: Policy) -> Decision:
    """Decide on a call.

    Parameters
    ----------
    method:
        The HTTP method.
    target:
        Path and query as they came.
    body:
        The parsed JSON body, or None.
    policy:
        What is allowed.
    """
    raw, _, query_text = target.partition("?")
    path = unquote(raw)
    pairs = parse_qsl(query_text, keep_blank_values=True)
    query = dict(pairs)
    if not SAFE_PATH.fullmatch(path) or ".." in path or "//" in path or len(query) != len(pairs):
        return refuse("the address is not one that the hub uses")
    version = VERSION.match(path)
    base = version.group() if version else ""
    words = path[len(base) :].strip("/").split("/")
    if method in ("GET", "HEAD") and words in (["version"], ["_ping"]) and not query:
        return Decision(path=f"{base}/{words[0]}")
    if words[0] == "images":
        return _image(method, base, words, query, policy)
    if words[0] == "containers" and len(words) in (2, 3):
        if words[1:] == ["create"]:
            return _create(base, query, body, policy) if method == "POST" else refuse("containers are created by POST")
        return _container(method, base, words, query)
    return refuse("this call is not one that the hub makes")


def is_notebook(inspected: Mapping[str, Any], policy: Policy) -> bool:
    """Whether a container, as the engine describes it, is a notebook of this facility."""
    user = policy.user_of(str(inspected.get("Name", "")).removeprefix("/"))
    labels = (inspected.get("Config") or {}).get("Labels") or {}
    return user is not None and labels.get(FACILITY_LABEL) == policy.prefix and labels.get(NOTEBOOK_LABEL) == user


def _image(method: str, base: str, words: list[str], query: Mapping[str, str], policy: Policy) -> Decision:
    if method == "GET" and len(words) > 2 and words[-1] == "json" and not query:
        reference = "/".join(words[1:-1])
        if policy.image_allowed(reference):
            return Decision(path=f"{base}/images/{quote(reference, safe='/:')}/json")
        return refuse(f"image {reference} is not for notebooks")
    if method == "POST" and words[1:] == ["create"] and set(query) <= {"fromImage", "tag"}:
        name, tag = query.get("fromImage", ""), query.get("tag", "")
        reference = f"{name}{'@' if tag.startswith('sha256:') else ':'}{tag}"
        if tag and reference not in policy.images and policy.image_allowed(reference):
            return Decision(path=f"{base}/images/create?fromImage={quote(name, safe='/:')}&tag={quote(tag, safe=':')}")
        return refuse(f"image {reference} may not be pulled")
    return refuse("this call about images is not one that the hub makes")


def _container(method: str, base: str, words: list[str], query: Mapping[str, str]) -> Decision:
    action = words[2] if len(words) == 3 else ""
    allowed = ACTIONS.get((method, action))
    if allowed is None or not CONTAINER.fullmatch(words[1]):
        return refuse("this call about a container is not one that the hub makes")
    if not set(query) <= allowed or not all(re.fullmatch(r"\w{0,12}", value) for value in query.values()):
        return refuse("this call has parameters that the hub does not use")
    tail = f"/{action}" if action else ""
    question = "&".join(f"{key}={value}" for key, value in query.items())
    return Decision(path=f"{base}/containers/{{container}}{tail}{'?' if question else ''}{question}", container=words[1])


def _create(base: str, query: Mapping[str, str], body: Any, policy: Policy) -> Decision:
    user = policy.user_of(query.get("name", ""))
    if user is None or set(query) != {"name"}:
        return refuse(f"a notebook's container is called {policy.prefix}-jupyter-<user>")
    if not isinstance(body, Mapping):
        return refuse("the body is not a JSON object")
    why = _wrong_container(body, user, policy) or _wrong_host(body.get("HostConfig"), user, policy)
    if why:
        return refuse(why)
    return Decision(path=f"{base}/containers/create?name={query['name']}", body=body)


def _wrong_container(body: Mapping[str, Any], user: str, policy: Policy) -> str:
    """Why a container may not be like that, or ``""``."""
    for key, value in body.items():
        if key in EMPTY_ONLY and value in (None, "", {}, []):
            continue
        if key not in FREE | CHECKED:
            return f"the setting {key} is not one that a notebook has"
    if not policy.image_allowed(str(body.get("Image"))):
        return f"image {body.get('Image')} is not for notebooks"
    if body.get("User") != policy.user:
        return f"a notebook runs as user {policy.user}"
    if body.get("Labels") != {FACILITY_LABEL: policy.prefix, NOTEBOOK_LABEL: user}:
        return "the labels are not those of this notebook"
    if not set(body.get("Volumes") or {}) <= {policy.home, "/cvmfs"}:
        return "a notebook has no volumes but its home"
    return ""


def _wrong_host(settings: Any, user: str, policy: Policy) -> str:
    """Why a container may not be run like that, or ``""``. A setting that is not named here has to be absent or null."""
    if not isinstance(settings, Mapping):
        return "the host settings are missing"
    volume = f"{policy.prefix}-home-{user}:{policy.home}:rw"
    mounts = [[volume], *([[volume, f"{policy.cvmfs}:/cvmfs:ro,rslave"]] if policy.cvmfs else [])]
    binds, memory, quota, processes = (settings.get(key) for key in ("Binds", "Memory", "CpuQuota", "PidsLimit"))
    conditions = {
        "NetworkMode": (settings.get("NetworkMode") == policy.network, f"a notebook is on the network {policy.network} only"),
        "Binds": (isinstance(binds, list) and sorted(map(str, binds)) in map(sorted, mounts), "a notebook mounts its user's home only"),
        "Memory": (_within(memory, SMALLEST_MEMORY, policy.max_memory), f"memory is up to {policy.max_memory} bytes"),
        "CpuPeriod": (settings.get("CpuPeriod") == CPU_PERIOD, f"the processor period is {CPU_PERIOD}"),
        "CpuQuota": (_within(quota, 1000, policy.max_cpus * CPU_PERIOD), f"cores are up to {policy.max_cpus}"),
        "PidsLimit": (_within(processes, 1, policy.processes), f"processes are up to {policy.processes}"),
        "CapDrop": (settings.get("CapDrop") == ["ALL"], "a notebook has no capabilities"),
        "SecurityOpt": (settings.get("SecurityOpt") == ["no-new-privileges"], "a notebook gains no privileges"),
        "AutoRemove": (settings.get("AutoRemove") in (None, False, True), "AutoRemove is true or false"),
        "Links": (settings.get("Links") in (None, []), "a notebook is linked to no container"),
        "Mounts": (settings.get("Mounts") in (None, []), "a notebook mounts its user's home only"),
        "DeviceRequests": (_devices_allowed(settings.get("DeviceRequests"), policy), f"GPUs are up to {policy.max_gpus}"),
    }
    for ok, why in conditions.values():
        if not ok:
            return why
    unknown = [key for key, value in settings.items() if key not in conditions and value is not None]
    return f"the host setting {unknown[0]} is not one that a notebook has" if unknown else ""


def _within(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _devices_allowed(requests: Any, policy: Policy) -> bool:
    if requests in (None, []):
        return True
    if not isinstance(requests, list) or len(requests) != 1 or not isinstance(requests[0], Mapping):
        return False
    request = {key: value for key, value in requests[0].items() if value not in (None, {}, [], 0)}
    if request.pop("Driver", None) != policy.gpu_driver or request.pop("Capabilities", [["gpu"]]) != [["gpu"]]:
        return False
    if policy.gpu_driver == "cdi":
        wanted = request.get("DeviceIDs")
        names = [f"nvidia.com/gpu={number}" for number in range(policy.max_gpus)]
        return (
            set(request) == {"DeviceIDs"}
            and isinstance(wanted, list)
            and len(wanted) == len(set(map(str, wanted)))
            and all(w in names for w in wanted)
        )
    return set(request) == {"Count"} and _within(request["Count"], 1, policy.max_gpus)
