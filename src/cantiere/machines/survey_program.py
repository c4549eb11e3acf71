"""What a machine has beyond the facts of the one probe: what only the check before the first converge needs.

Sent to ``python3 -`` on the machine, with the other machines' addresses as its argument; prints JSON. The standard library of Python
3.9 is all that it uses, and it changes nothing.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PATIENCE = 3.0
NETFILTER = 12  # NETLINK_NETFILTER
GET_GENERATION = (10 << 8) | 16  # NFT_MSG_GETGEN of NFNL_SUBSYS_NFTABLES
REQUEST_WITH_ACKNOWLEDGEMENT = 5
PERMITTED = (0, 1)  # done, or refused to us: either way somebody was there to ask
MODULES = ("overlay", "br_netfilter", "nf_tables")
LEFT_BY_CLUSTERS = (
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/manifests/etcd.yaml",
    "/etc/rancher",
    "/var/lib/etcd/member",
    "/var/lib/rancher",
)


def text(path: str) -> str:
    """The content of a small file; empty where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def processes() -> dict[str, str]:
    """Process number to the name of its program."""
    return {entry.name: text(f"{entry}/comm").strip() for entry in Path("/proc").iterdir() if entry.name.isdigit()}


def listeners(names: dict[str, str]) -> dict[str, str]:
    """TCP port to the name of the program that listens there, or ``?`` where no program does: the kernel serves NFS by itself."""
    ports = {}
    for name in ("tcp", "tcp6"):
        for line in text(f"/proc/net/{name}").splitlines()[1:]:
            row = line.split()
            if len(row) > 9 and row[3] == "0A":
                ports[f"socket:[{row[9]}]"] = str(int(row[1].rpartition(":")[2], 16))
    found = dict.fromkeys(ports.values(), "?")
    for number, program in names.items():
        for held in held_by(number):
            if held in ports:
                found[ports[held]] = program
    return found


def held_by(number: str) -> list[str]:
    """What the open files of a process are."""
    try:
        return [str(entry.readlink()) for entry in Path(f"/proc/{number}/fd").iterdir()]
    except OSError:
        return []


def nf_tables() -> bool:
    """Whether the kernel answers a question about nftables."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER) as handle:
            handle.settimeout(PATIENCE)
            body = struct.pack("=BBH", 0, 0, 0)
            handle.send(struct.pack("=IHHII", 16 + len(body), GET_GENERATION, REQUEST_WITH_ACKNOWLEDGEMENT, 1, 0) + body)
            answer = handle.recv(4096)
    except OSError:
        return False
    kind = struct.unpack_from("=H", answer, 4)[0]
    return kind != 2 or -struct.unpack_from("=i", answer, 16)[0] in PERMITTED


def loadable() -> list[str]:
    """Modules that the running kernel could load, or has built in and lists."""
    argv = ("modprobe", "--dry-run", "--quiet")
    environment = {**os.environ, "PATH": "/usr/sbin:/sbin:/usr/bin:/bin"}
    try:
        return [
            name for name in MODULES if subprocess.run([*argv, name], capture_output=True, env=environment, check=False).returncode == 0
        ]
    except OSError:
        return []


def controllers() -> list[str]:
    """Control group controllers of either version."""
    found = set(text("/sys/fs/cgroup/cgroup.controllers").split())
    for line in text("/proc/cgroups").splitlines():
        row = line.split()
        if len(row) > 3 and not line.startswith("#") and row[3] == "1":
            found.add(row[0])
    return sorted(found)


def hardware_address() -> str:
    """The address of the network card of the default route."""
    for line in text("/proc/net/route").splitlines()[1:]:
        row = line.split()
        if row[1] == "00000000":
            return text(f"/sys/class/net/{row[0]}/address").strip()
    return ""


def reaches(peer: list[str | int]) -> bool:
    """Whether a TCP connection to another machine can be made."""
    try:
        with socket.create_connection((str(peer[1]), int(peer[2])), PATIENCE):
            return True
    except OSError:
        return False


def survey(peers: list[list[str | int]]) -> dict[str, object]:
    """All of it; ``clock`` is read last, ``spent`` seconds after the start.

    Parameters
    ----------
    peers:
        Name, address and SSH port of each other machine.
    """
    began = time.monotonic()
    with ThreadPoolExecutor(max(1, min(32, len(peers)))) as pool:
        met = list(pool.map(reaches, peers))
    names = processes()
    room = os.statvfs("/var/lib")
    found: dict[str, object] = {
        "disk": room.f_blocks * room.f_frsize,
        "hardware_address": hardware_address(),
        "listeners": listeners(names),
        "programs": sorted(set(names.values())),
        "controllers": controllers(),
        "nf_tables": nf_tables(),
        "loadable": loadable(),
        "left": [path for path in LEFT_BY_CLUSTERS if Path(path).exists()],
        "unmet": [peer[0] for number, peer in enumerate(peers) if not met[number]],
    }
    return {**found, "clock": time.time(), "spent": time.monotonic() - began}


if __name__ == "__main__":
    json.dump(survey(json.loads(sys.argv[1])), sys.stdout)
