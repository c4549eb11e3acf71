"""A small cloud for tests: the HTTP interfaces of identity, compute, network, image and volume services, as far as the provider uses them.

The real SDK talks to it over loopback. It keeps objects in memory, refuses what the real services refuse in the same words, and fails on
request. What it cannot show (scheduling, cloud-init, real traffic) is shown by the system test, which runs on the real services.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support import small_changes as changes
from support.small_changes import Refused

PROJECT = "11111111111111111111111111111111"
NOVA = re.compile(r"/compute/v2\.1(/.*)?")
CINDER = re.compile(r"/volume/v3(/.*)?")
NEUTRON = re.compile(r"/network/v2\.0/([a-z-]+)(?:/([^/]+))?(?:/([a-z_]+))?")
SINGULAR = {
    "networks": "network",
    "subnets": "subnet",
    "routers": "router",
    "ports": "port",
    "floatingips": "floatingip",
    "security-groups": "security_group",
    "security-group-rules": "security_group_rule",
}


@dataclass
class Fault:
    """An answer in place of the real one, once for each of ``times``; ``after`` lets the request take effect first."""

    method: str
    path: str
    status: int
    message: str = "a fault of the test"
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    after: bool = False


class SmallCloud:
    """One project of one cloud."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in (*SINGULAR, "servers", "volumes", "groups", "pairs")}
        self.asked: list[str] = []
        self.faults: list[Fault] = []
        self.roles = ["member"]
        self.limits = {"maxTotalInstances": 10, "maxTotalCores": 20, "maxTotalRAMSize": 51200, "gigabytes": 100}
        self.limits |= {"floatingip": 5, "port": 50, "security_group": 10}
        self.no_room: set[str] = set()
        self.online = False
        self.flavors = [("tiny", 1, 512, 1, {}), ("small", 2, 2048, 20, {}), ("medium", 4, 8192, 40, {}), ("large", 8, 16384, 80, {})]
        self.flavors.append(("gpu", 8, 65536, 80, {"pci_passthrough:alias": "a100:2"}))
        self.images = [("debian-13", "2026-01-02"), ("debian-13", "2026-05-01"), ("debian-12", "2026-06-01")]
        self.url = ""
        self.lock = threading.Lock()
        for name, external in (("public", True), ("campus", False)):
            self.put("networks", {"name": name, "router:external": external, "project_id": "another"})

    def put(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        made = {"id": str(uuid.uuid4()), "project_id": PROJECT, "description": "", **changes.ALWAYS.get(kind, {}), **body}
        self.objects[kind][made["id"]] = made
        return made

    def names(self, kind: str) -> list[str]:
        return sorted(
            str(item.get("name") or item["description"]) for item in self.objects[kind].values() if item.get("project_id") == PROJECT
        )

    def belongings(self) -> set[str]:
        """Everything that the project has."""
        return {f"{kind} {name}" for kind in self.objects for name in self.names(kind)}

    # -- the interfaces

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        if path.startswith("/identity"):
            return self.identity(path)
        if path.startswith("/image"):
            return self.image(path, query)
        if match := NEUTRON.fullmatch(path):
            return self.network(method, match[1], match[2], match[3], query, body)
        if match := NOVA.fullmatch(path):
            return self.compute(method, match[1] or "", query, body)
        if match := CINDER.fullmatch(path):
            return self.volume(method, (match[1] or "").removeprefix(f"/{PROJECT}"), query, body)
        return self.versions(path)

    def versions(self, path: str) -> Any:
        version = {"/network": "v2.0", "/compute": "v2.1", "/volume": "v3", "/image": "v2"}[path.rstrip("/")]
        return {"versions": [self.version(path.strip("/"), version)]}

    def version(self, service: str, version: str) -> dict[str, Any]:
        link = {"rel": "self", "href": f"{self.url}/{service}/{version}/"}
        return {"id": version, "status": "CURRENT", "version": "2.96", "min_version": "2.1", "links": [link]}

    def identity(self, path: str) -> Any:
        if not path.endswith(("/tokens", "/auth")):
            link = {"rel": "self", "href": f"{self.url}/identity/v3/"}
            return {"version": {"id": "v3.14", "status": "stable", "links": [link]}}
        services = {"compute": "compute/v2.1", "network": "network", "image": "image", "block-storage": f"volume/v3/{PROJECT}"}
        catalogue = [
            {
                "type": kind,
                "id": kind,
                "name": kind,
                "endpoints": [{"id": kind, "interface": "public", "region": "One", "region_id": "One", "url": f"{self.url}/{place}"}],
            }
            for kind, place in services.items()
        ]
        domain = {"id": "default", "name": "Default"}
        return {
            "token": {
                "methods": ["password"],
                "expires_at": "2099-01-01T00:00:00.000000Z",
                "issued_at": "2026-01-01T00:00:00.000000Z",
                "project": {"id": PROJECT, "name": "lab", "domain": domain},
                "user": {"id": "u", "name": "demo", "domain": domain},
                "roles": [{"id": role, "name": role} for role in self.roles],
                "catalog": catalogue,
            }
        }

    def image(self, path: str, query: dict[str, str]) -> Any:
        if path.rstrip("/") in ("/image", "/image/v2"):
            return {"versions": [self.version("image", "v2")]}
        listed = [
            {
                "id": f"{name}@{date}",
                "name": name,
                "status": "active",
                "created_at": date,
                "min_disk": 0,
                "size": 3 << 30,
                "os_distro": "debian",
            }
            for name, date in self.images
            if query.get("name", name) == name
        ]
        return {"images": listed}

    def network(self, method: str, kind: str, key: str | None, verb: str | None, query: dict[str, str], body: Any) -> Any:
        if kind == "quotas":
            used = {one: len(self.objects[kind]) for kind, one in SINGULAR.items() if one in self.limits}
            return {"quota": {name: {"limit": self.limits[name], "used": used[name], "reserved": 0} for name in used}}
        table, one = self.objects[kind], SINGULAR[kind]
        if verb == "add_router_interface":
            subnet = self.objects["subnets"][body["subnet_id"]]
            joined = {"name": "", "device_id": key, "device_owner": "network:router_interface", "network_id": subnet["network_id"]}
            self.put("ports", joined)
            return {"id": key, "subnet_id": subnet["id"]}
        if verb == "remove_router_interface":
            if not self.objects["ports"].pop(body["port_id"], None):
                raise Refused(404, f"Router {key} does not have an interface with id {body['port_id']}")
            return {"id": key}
        if method == "POST":
            return {one: self.make(kind, dict(body[one]))}
        if key and key not in table:
            raise Refused(404, f"{one} {key} could not be found.")
        if method == "GET" and key:
            return {one: self.show(kind, table[key])}
        if method == "GET":
            asked, filters = query.get("fields", "").split(), {name: value for name, value in query.items() if name != "fields"}
            listed = [
                item for item in table.values() if all(str(item.get(name)).lower() == value.lower() for name, value in filters.items())
            ]
            shown = [self.show(kind, item) for item in listed]
            return {kind.replace("-", "_"): [{name: item[name] for name in asked or item if name in item} for item in shown]}
        if method == "PUT":
            table[str(key)] |= body[one]
            return {one: table[str(key)]}
        self.drop(kind, str(key))
        return None

    def make(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        if kind == "floatingips":
            if len(self.objects[kind]) >= self.limits["floatingip"]:
                raise Refused(409, "Quota exceeded for resources: ['floatingip'].")
            body["floating_ip_address"] = f"198.51.100.{len(self.objects[kind]) + 10}"
        held = [item for port in self.objects["ports"].values() for item in port.get("fixed_ips") or ()] if kind == "ports" else []
        if any(item in held for item in body.get("fixed_ips", ())):
            raise Refused(409, "IP address already allocated in subnet.")
        if kind == "security-group-rules":
            same = [rule for rule in self.objects[kind].values() if {**rule, "id": 0} == {**self.rule(body), "id": 0}]
            if same:
                raise Refused(409, "Security group rule already exists.")
            body = self.rule(body)
        return self.put(kind, body)

    @staticmethod
    def rule(body: dict[str, Any]) -> dict[str, Any]:
        empty = dict.fromkeys(("protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id"))
        return {"project_id": PROJECT, "description": "", "name": "", **empty, **body}

    def show(self, kind: str, item: dict[str, Any]) -> dict[str, Any]:
        if kind != "security-groups":
            return item
        listed = [rule for rule in self.objects["security-group-rules"].values() if rule["security_group_id"] == item["id"]]
        return {**item, "security_group_rules": listed}

    def drop(self, kind: str, key: str) -> None:
        held = {
            "networks": [port for port in self.objects["ports"].values() if port.get("network_id") == key],
            "routers": [port for port in self.objects["ports"].values() if port.get("device_id") == key],
            "security-groups": [port for port in self.objects["ports"].values() if key in port.get("security_groups", ())],
        }
        if held.get(kind):
            raise Refused(409, f"Unable to complete operation: {kind} {key} is in use.")
        self.objects[kind].pop(key)
        if kind == "networks":
            self.objects["subnets"] = {name: item for name, item in self.objects["subnets"].items() if item["network_id"] != key}
        if kind == "security-groups":
            rules = self.objects["security-group-rules"]
            self.objects["security-group-rules"] = {name: item for name, item in rules.items() if item["security_group_id"] != key}

    def compute(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        servers = self.objects["servers"]
        if path in ("", "/"):
            return {"version": self.version("compute", "v2.1")}
        if path == "/flavors/detail":
            return {
                "flavors": [
                    {"id": f"f-{name}", "name": name, "vcpus": cores, "ram": memory, "disk": disk, "extra_specs": specs}
                    for name, cores, memory, disk, specs in self.flavors
                ]
            }
        if path == "/limits":
            used = {"totalInstancesUsed": len(servers), "totalCoresUsed": 0, "totalRAMUsed": 0}
            return {"limits": {"rate": [], "absolute": {key: self.limits[key] for key in self.limits if key.startswith("max")} | used}}
        if path == "/os-availability-zone":
            return {"availabilityZoneInfo": [{"zoneName": name, "zoneState": {"available": True}} for name in ("east", "west")]}
        if path.startswith(("/os-keypairs", "/os-server-groups")):
            return self.named(method, path, body)
        if path in ("/servers", "/servers/detail") and method == "GET":
            named = [item for item in servers.values() if re.search(query.get("name", ""), item["name"])]
            return {"servers": [item for item in named if query.get("status", item["status"]) == item["status"]]}
        if path == "/servers" and method == "POST":
            return {"server": self.server(body)}
        _, _, key, *rest = path.split("/")
        if key not in servers:
            raise Refused(404, f"Instance {key} could not be found.")
        if rest == ["action"]:
            return changes.act(servers[key], body, self.flavors, self.no_room)
        if rest:
            return changes.belonging(servers[key], self.objects["volumes"], method, rest, body)
        if method == "DELETE":
            return changes.end(self.objects, key)
        return {"server": servers[key]}

    def server(self, body: dict[str, Any]) -> dict[str, Any]:
        given = body["server"]
        if len(self.objects["servers"]) >= self.limits["maxTotalInstances"]:
            raise Refused(403, "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances")
        placed = {given["flavorRef"], given.get("availability_zone", "")} & self.no_room
        made = self.put(
            "servers",
            {
                "name": given["name"],
                "metadata": given["metadata"],
                "status": "ERROR" if placed else "ACTIVE",
                "OS-EXT-AZ:availability_zone": given.get("availability_zone", "east"),
                "ports": [item["port"] for item in given["networks"]],
                "flavor": changes.flavor(self.flavors, given["flavorRef"]),
                "asked": body,
            },
        )
        changes.begin(self.objects["volumes"], made["id"], given)
        if placed:
            made["fault"] = {"code": 500, "message": "No valid host was found. There are not enough hosts available."}
        return made

    def named(self, method: str, path: str, body: Any) -> Any:
        kind, one, many = ("pairs", "keypair", "keypairs") if "keypairs" in path else ("groups", "server_group", "server_groups")
        table = self.objects[kind]
        if method == "POST":
            return {one: self.put(kind, dict(body[one]))}
        if method == "DELETE":
            key = path.rsplit("/", 1)[1]
            found = [name for name, item in table.items() if key in (name, item["name"])]
            if not found:
                raise Refused(404, f"{key} could not be found.")
            table.pop(found[0])
            return None
        return {many: [{one: item} if kind == "pairs" else item for item in table.values()]}

    def volume(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        table = self.objects["volumes"]
        if path in ("", "/"):
            return {"versions": [self.version("volume", "v3")]}
        if path == "/limits":
            used = {"totalVolumesUsed": len(table), "totalGigabytesUsed": sum(item["size"] for item in table.values())}
            most = {"maxTotalVolumes": 10, "maxTotalVolumeGigabytes": self.limits["gigabytes"]}
            return {"limits": {"rate": [], "absolute": most | used}}
        if path == "/types":
            return {"volume_types": [{"id": "t", "name": "ssd"}]}
        if path in ("/volumes", "/volumes/detail") and method == "GET":
            return {"volumes": [item for item in table.values() if all(item[key] == value for key, value in query.items())]}
        if path == "/volumes":
            if sum(item["size"] for item in table.values()) + body["volume"]["size"] > self.limits["gigabytes"]:
                raise Refused(413, "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota.")
            return {"volume": self.put("volumes", {**body["volume"], "status": "available"})}
        _, _, key, *rest = path.split("/")
        if key not in table:
            raise Refused(404, f"Volume {key} could not be found.")
        if rest == ["action"]:
            return changes.extend(table, key, body["os-extend"]["new_size"], self.limits["gigabytes"], online=self.online)
        if method == "DELETE":
            table.pop(key)
            return None
        if method == "PUT":
            table[key] |= body["volume"]
        return {"volume": table[key]}


@contextmanager
def serving(folder: Path) -> Iterator[tuple[SmallCloud, Path]]:
    """A cloud that answers on loopback, and a clouds.yaml that names it ``small``.

    Parameters
    ----------
    folder:
        Where clouds.yaml goes.
    """
    cloud = SmallCloud()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one write for each answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"null")
            given = parse_qs(parts.query)
            query = {key: " ".join(values) for key, values in given.items() if key not in ("limit", "marker")}  # only `fields` is repeated
            with cloud.lock:
                cloud.asked.append(f"{self.command} {parts.path}")
                try:
                    answer = self.result(parts.path, query, body)
                except ConnectionResetError:  # the test cuts the connection
                    self.close_connection = True
                    return
            self.send(*answer)

        def result(self, path: str, query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
            fault = next((item for item in cloud.faults if item.method == self.command and re.search(item.path, path)), None)
            if fault:
                fault.times -= 1
                if not fault.times:
                    cloud.faults.remove(fault)
                if fault.after:
                    cloud.answer(self.command, path, query, body)
                return fault.status, {"error": {"message": fault.message}}, fault.headers
            try:
                found = cloud.answer(self.command, path, query, body)
            except Refused as error:
                return error.status, {"error": {"message": str(error)}}, {}
            headers = {"X-Subject-Token": "token"} if path.endswith(("/tokens", "/auth")) else {}
            done = {"POST": 201, "DELETE": 204}.get(self.command, 200)
            return (202 if found is None and done != 204 else done), found, headers

        def send(self, status: int, found: Any, headers: dict[str, str]) -> None:
            content = b"" if found is None else json.dumps(found).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = do

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cloud.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    file = folder / "clouds.yaml"
    names = {"username": "demo", "password": "secret", "project_name": "lab", "user_domain_id": "default", "project_domain_id": "default"}
    file.write_text(json.dumps({"clouds": {"small": {"region_name": "One", "auth": {"auth_url": f"{cloud.url}/identity/v3", **names}}}}))
    try:
        yield cloud, file
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
