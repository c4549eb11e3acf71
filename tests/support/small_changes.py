"""What the small cloud does to servers and volumes that are there: start, stop, another flavor, more room."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

ALWAYS: dict[str, dict[str, Any]] = {
    "servers": {"flavor": {}},
    "ports": {"name": "", "fixed_ips": [], "security_groups": []},
    "floatingips": {"port_id": None},
    "volumes": {"attachments": []},
}
"""What each service shows of an object, whatever it was made with."""


class Refused(Exception):
    """The cloud refuses, with a status and its words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def flavor(flavors: Sequence[Any], key: str) -> dict[str, Any]:
    """A flavor as a server shows it."""
    name, cores, memory, disk, specs = next(item for item in flavors if f"f-{item[0]}" == key)
    return {"original_name": name, "vcpus": cores, "ram": memory, "disk": disk, "extra_specs": specs}


def act(server: dict[str, Any], body: dict[str, Any], flavors: Sequence[Any], no_room: Collection[str]) -> Any:
    """An action on a server. A resize waits for its confirmation; without a host that has room the server stays as it was."""
    if "os-getConsoleOutput" in body:
        return {"output": "one\ntwo\n"}
    if "resize" in body:
        key = body["resize"]["flavorRef"]
        if server["status"] not in ("ACTIVE", "SHUTOFF") or server["flavor"] == flavor(flavors, key):
            raise Refused(409, f"Cannot 'resize' instance while it is in vm_state {server['status'].lower()}")
        if key not in no_room:
            server |= {"flavor": flavor(flavors, key), "before": server["status"], "status": "VERIFY_RESIZE"}
    elif "confirmResize" in body:
        if server["status"] != "VERIFY_RESIZE":
            raise Refused(409, f"Cannot 'confirmResize' instance while it is in vm_state {server['status'].lower()}")
        server["status"] = server.pop("before")
    else:
        server["status"] = "ACTIVE" if "os-start" in body else "SHUTOFF"
    return None


def attach(volume: dict[str, Any], server: str) -> None:
    """Attach a volume to a server, or take it off (``""``)."""
    if bool(server) == bool(volume.get("attachments")):
        raise Refused(400, f"Invalid volume: {volume['id']} is {volume['status']}")
    volume |= {"attachments": [{"server_id": server}] if server else [], "status": "in-use" if server else "available"}


def begin(volumes: dict[str, dict[str, Any]], server: str, given: dict[str, Any]) -> None:
    """A server that is made takes its volumes."""
    for disk in given.get("block_device_mapping_v2") or ():
        if disk["source_type"] == "volume":
            attach(volumes[disk["uuid"]], server)


def end(objects: dict[str, dict[str, dict[str, Any]]], server: str) -> None:
    """A server that goes leaves its ports and volumes."""
    for port in objects["servers"].pop(server)["ports"]:
        objects["ports"].get(port, {}).pop("device_id", None)
    for volume in objects["volumes"].values():
        if {"server_id": server} in volume.get("attachments", ()):
            attach(volume, "")


def belonging(server: dict[str, Any], volumes: dict[str, dict[str, Any]], method: str, path: list[str], body: Any) -> Any:
    """A server's metadata, and the volumes that are attached to it."""
    if path == ["metadata"]:
        server["metadata"] |= body["metadata"]
        return {"metadata": server["metadata"]}
    key = path[1] if method == "DELETE" else body["volumeAttachment"]["volumeId"]
    attach(volumes[key], "" if method == "DELETE" else server["id"])
    return None if method == "DELETE" else {"volumeAttachment": {"id": key, "volumeId": key, "serverId": server["id"]}}


def extend(volumes: dict[str, dict[str, Any]], key: str, size: int, most: int, *, online: bool) -> None:
    """Let a volume grow, within the quota; not every type does while it is attached."""
    has = volumes[key]["size"]
    if volumes[key]["status"] == "in-use" and not online:
        volumes[key]["status"] = "error_extending"
        return
    if size <= has:
        raise Refused(400, f"New size for extend must be greater than current size. (current: {has}, extended: {size}).")
    if sum(item["size"] for item in volumes.values()) + size - has > most:
        raise Refused(413, "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota.")
    volumes[key]["size"] = size
