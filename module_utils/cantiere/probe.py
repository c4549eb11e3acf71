"""What a machine is, and whether what was converged on it is still there.

The standard library is all that this file imports, so that it is a module's helper and, sent to ``python3 -``, a program of its own:
it prints ``{"facts": ..., "manifests": {role: {"digest": ..., "drift": [...]}}}``.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import stat
import struct
import subprocess
import sys
import time

FOLDER = "/var/lib/cantiere/manifest"
LARGE = 4 * 1024 * 1024  # larger files are known by size and time of change
CHUNK = 1024 * 1024
CAP_SYS_RESOURCE = 24
STARTED = ("active", "reloading", "activating")
ENABLED = ("enabled", "static", "indirect", "alias", "generated", "linked", "transient")
RUNTIMES = ("containerd", "crio", "dockerd", "k3s", "podman", "rke2")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
FAMILIES = {"Debian": ("debian", "ubuntu"), "RedHat": ("rhel", "fedora", "centos", "rocky", "almalinux")}
WITNESSES = {
    "br_netfilter": "/proc/sys/net/bridge/bridge-nf-call-iptables",
    "fuse": "/dev/fuse",
    "ip_set": "/sys/module/ip_set",
    "ip_vs": "/proc/net/ip_vs",
    "iscsi_tcp": "/sys/class/iscsi_transport",
    "nf_conntrack": "/proc/sys/net/netfilter/nf_conntrack_max",
    "tun": "/dev/net/tun",
}
FEATURES = (*WITNESSES, "overlay", "nfs", "nfsd", "xfs")


def read(path, default=""):
    """The text of a small file, or the default where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except OSError:
        return default


def output(argv, **given):
    """Run a command in the C locale.

    Returns
    -------
    tuple
        Exit code (127 where there is no such command), standard output and standard error.
    """
    environment = {**os.environ, "LC_ALL": "C", "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin:/sbin:/bin"}
    try:
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", env=environment, check=False, **given)
    except OSError as error:
        return 127, "", str(error)
    return done.returncode, done.stdout, done.stderr


def words(text, mark="="):
    """Lines of ``key=value`` as a dictionary."""
    return {key.strip(): value.strip().strip('"') for key, found, value in (line.partition(mark) for line in text.splitlines()) if found}


# --- what a machine is


def operating_system():
    """Name, version and family of the operating system."""
    release = words(read("/etc/os-release"))
    names = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    family = next((family for family, members in FAMILIES.items() if names.intersection(members)), "")
    return {"os_id": release.get("ID", ""), "os_version": release.get("VERSION_ID", ""), "os_family": family}


def control_groups():
    """Which control groups there are, and whether container runtimes need the version 1 tree put up for them."""
    unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    complete = "memory" in read("/sys/fs/cgroup/cgroup.controllers").split()
    rows = [line.split() for line in read("/proc/cgroups").splitlines() if not line.startswith("#")]
    legacy = any(row[0] == "memory" and row[1] != "0" for row in rows if len(row) > 1)
    kind = "unified" if complete else "mixed" if unified else "legacy"
    return {"cgroup": kind, "cgroup_wrapper": unified and not complete and legacy}


def network():
    """Interface, address and MTU of the default route; empty where there is none."""
    found = {"default_interface": "", "default_address": "", "mtu": 0}
    rows = [line.split() for line in read("/proc/net/route").splitlines()[1:]]
    routes = sorted((int(row[6]), row[0]) for row in rows if len(row) > 7 and row[1] == "00000000" and row[7] == "00000000")
    if not routes:
        return found
    name = routes[0][1]
    request = struct.pack("256s", name.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        try:
            found["mtu"] = struct.unpack("i", fcntl.ioctl(handle, 0x8921, request)[16:20])[0]
            found["default_interface"] = name
            found["default_address"] = socket.inet_ntoa(fcntl.ioctl(handle, 0x8915, request)[20:24])
        except OSError:
            pass
    return found


def security():
    """State of SELinux and AppArmor."""
    enforce = read("/sys/fs/selinux/enforce").strip()
    return {
        "selinux": {"1": "enforcing", "0": "permissive"}.get(enforce, "off"),
        "apparmor": "on" if read("/sys/module/apparmor/parameters/enabled").startswith("Y") else "off",
    }


def memory():
    """Memory and swap, in bytes; a limit on the machine's own control group counts."""
    seen = words(read("/proc/meminfo"), ":")
    total, swap = (int(seen.get(key, "0 kB").split()[0]) * 1024 for key in ("MemTotal", "SwapTotal"))
    limit = read("/sys/fs/cgroup/memory.max").strip()
    return {"memory": min(total, int(limit)) if limit.isdigit() else total, "swap": swap}


def listening():
    """TCP ports on which something listens."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in read("/proc/net/" + name).splitlines()[1:]]
    return sorted({int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == "0A"})


def gpus():
    """How many NVIDIA GPUs are on the PCI bus."""
    root = "/sys/bus/pci/devices"
    devices = os.listdir(root) if os.path.isdir(root) else []
    return sum(read(f"{root}/{name}/vendor").strip() == "0x10de" and read(f"{root}/{name}/class").startswith("0x03") for name in devices)


def virtual():
    """What runs this machine (``nspawn``, ``kvm``, ``none`` …), and whether it is a container."""
    kind = read("/run/systemd/container").strip() or output(["systemd-detect-virt"])[1].strip() or "none"
    container = os.path.exists("/run/systemd/container") or output(["systemd-detect-virt", "--container", "--quiet"])[0] == 0
    return {"virtual": kind[8:] if kind == "systemd-nspawn" else kind, "container": container}


def feature(name):
    """Whether the running kernel has a module's feature, loaded or built in."""
    plain = name.replace("-", "_")
    if os.path.exists("/sys/module/" + plain) or os.path.exists(WITNESSES.get(plain, "/sys/module/" + plain)):
        return True
    built_in = read(f"/lib/modules/{os.uname().release}/modules.builtin").replace("-", "_")
    return plain in read("/proc/filesystems").split() or f"/{plain}.ko\n" in built_in


def facts():
    """What roles and checks need to know of this machine; sizes in bytes, the time in seconds since 1970."""
    room = os.statvfs("/var/lib")
    allowed = int(words(read("/proc/1/status"), ":").get("CapBnd", "0"), 16)
    folders = ("/usr/local/bin", "/usr/bin", "/usr/sbin", "/usr/local/sbin")
    return {
        **operating_system(),
        **control_groups(),
        **network(),
        **memory(),
        **security(),
        **virtual(),
        "arch": ARCHITECTURES.get(os.uname().machine, os.uname().machine),
        "kernel": os.uname().release,
        "hostname": os.uname().nodename,
        "machine_id": read("/etc/machine-id").strip(),
        "cpus": len(os.sched_getaffinity(0)),
        "oom_score_adj_restricted": not allowed >> CAP_SYS_RESOURCE & 1,
        "systemd": systemd(),
        "runtimes": [name for name in RUNTIMES if any(os.path.exists(f"{folder}/{name}") for folder in folders)],
        "features": sorted(name for name in FEATURES if feature(name)),
        "gpus": gpus(),
        "listening": listening(),
        "disk_free": room.f_bavail * room.f_frsize,
        "time": time.time(),
    }


# --- what is on it


def fingerprint(path):
    """What a path holds: text that changes when the content does, or None where there is nothing.

    Parameters
    ----------
    path:
        A file, a link, or a folder with all that is in it.
    """
    try:
        seen = os.lstat(path)
    except OSError:
        return None
    if stat.S_ISLNK(seen.st_mode):
        return "link " + os.readlink(path)
    if stat.S_ISDIR(seen.st_mode):
        entries = ((name, fingerprint(os.path.join(path, name))) for name in sorted(os.listdir(path)))
        return "folder " + hashlib.sha256(repr(list(entries)).encode()).hexdigest()
    if seen.st_size > LARGE:
        return f"size {seen.st_size} {seen.st_mtime_ns}"
    try:
        with open(path, "rb") as handle:
            return "sha256 " + hashlib.sha256(handle.read()).hexdigest()
    except OSError:
        return "unreadable"


def marks(name):
    """First and last line of a role's block in a file of others."""
    return f"# cantiere {name}: begin", f"# cantiere {name}: end"


def block_in(text, name):
    """The lines between a block's marks, or None where there is no block."""
    lines = text.splitlines()
    first, last = marks(name)
    if first not in lines or last not in lines[lines.index(first) :]:
        return None
    start = lines.index(first)
    return "".join(line + "\n" for line in lines[start + 1 : lines.index(last, start)])


def sysctl_path(key):
    """The file of a kernel setting; a slash in the key stands for a dot in a name."""
    return "/proc/sys/" + key.translate(str.maketrans("./", "/."))


def sysctl(key):
    """A kernel setting as text, or None where the kernel has none of that name."""
    text = read(sysctl_path(key), None)
    return None if text is None else " ".join(text.split())


def packages(names):
    """Installed version of each package that is there."""
    wanted = sorted(set(names))
    if not wanted:
        return {}
    if os.path.exists("/var/lib/dpkg/status"):
        text = output(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\\n", *wanted])[1]
    else:
        text = output(["rpm", "-q", "--qf", "installed %{NAME} %{VERSION}-%{RELEASE}\\n", *wanted])[1]
    rows = [line.split() for line in text.splitlines()]
    return {row[1]: row[2] for row in rows if len(row) == 3 and row[0] == "installed" and row[1] in wanted}


def systemd():
    """Whether systemd runs this machine."""
    return os.path.isdir("/run/systemd/system")


def units(names):
    """What systemd says of units: name to its properties, in one call."""
    wanted = sorted(set(names))
    if not wanted:
        return {}
    shown = "--property=ActiveState,SubState,UnitFileState,LoadState,NeedDaemonReload,ConditionResult"
    text = output(["systemctl", "show", shown, "--", *wanted])[1]
    blocks = [words(block) for block in text.strip().split("\n\n")]
    return {name: block for name, block in zip(wanted, blocks)}  # noqa: B905 - Python 3.9 knows no strict


def unit_drift(name, wanted, now):
    """What differs at a unit, in words."""
    found = []
    if now.get("LoadState") != "loaded":
        return [] if wanted == {"enabled": False, "state": "stopped"} else [f"unit {name} is {now.get('LoadState', 'unknown')}"]
    active, enabled = now["ActiveState"], now["UnitFileState"]
    stuck = active == "activating" and now["SubState"] == "auto-restart"
    if (active in STARTED and not stuck) != (wanted["state"] == "started"):
        found.append(f"unit {name} is {'restarting again and again' if stuck else active}")
    if (enabled in ENABLED) != wanted["enabled"] and enabled not in ("static", "indirect", "generated"):
        found.append(f"unit {name} is {enabled or 'not enabled'}")
    return found


def attribute_drift(path, wanted):
    """What differs in mode and owner of a path, in words."""
    seen = os.lstat(path)
    mode = f"{stat.S_IMODE(seen.st_mode):04o}"
    found = [] if mode == wanted["mode"] else [f"{path} has mode {mode}, not {wanted['mode']}"]
    if [seen.st_uid, seen.st_gid] != [wanted["uid"], wanted["gid"]]:
        found.append(f"{path} belongs to {seen.st_uid}:{seen.st_gid}, not {wanted['uid']}:{wanted['gid']}")
    return found


def path_drift(part, name):
    """What differs at a part's files, folders, links and blocks."""
    found = []
    for path, wanted in part.get("files", {}).items():
        now = fingerprint(path)
        if now != wanted["content"]:
            found.append(f"file {path} {'is gone' if now is None else 'changed'}")
        else:
            found += attribute_drift(path, wanted)
    for path, wanted in part.get("directories", {}).items():
        found += attribute_drift(path, wanted) if os.path.isdir(path) else [f"directory {path} is gone"]
    for path, target in part.get("links", {}).items():
        if fingerprint(path) != "link " + target:
            found.append(f"link {path} does not lead to {target}")
    for path, wanted in part.get("blocks", {}).items():
        if block_in(read(path), name) != wanted["content"]:
            found.append(f"the block of {name} in {path} changed")
    for path, wanted in part.get("observed", {}).items():
        now = fingerprint(path)
        if now != wanted:
            found.append(f"{path} {'is gone' if now is None else 'changed'}")
    found += [f"{path} is there again" for path in part.get("absent", ()) if os.path.lexists(path)]
    return found


def system_drift(part, seen_units, seen_packages):
    """What differs at a part's users, host name, kernel, units and packages."""
    known = {line.split(":")[0] for line in read("/etc/passwd").splitlines()} if part.get("users") else set()
    found = [f"user {name} is gone" for name in part.get("users", ()) if name not in known]
    if part.get("hostname") and part["hostname"] != os.uname().nodename:
        found.append(f"the host name is {os.uname().nodename}, not {part['hostname']}")
    found += [f"kernel module {name} is gone" for name in part.get("modules", ()) if not feature(name)]
    for key, wanted in part.get("sysctls", {}).items():
        if sysctl(key) != wanted:
            found.append(f"sysctl {key} is {sysctl(key)}, not {wanted}")
    for name, wanted in part.get("units", {}).items():
        found += unit_drift(name, wanted, seen_units.get(name, {}))
    for name, version in part.get("packages", {}).items():
        now = seen_packages.get(name)
        if now != version:
            found.append(f"package {name} {version} is gone" if now is None else f"package {name} is {now}, not {version}")
    return found


def part_name(role, part):
    """The name under which a role's part writes files of its own making."""
    return role if part == "main" else f"{role}-{part}"


def manifests(folder=FOLDER):
    """Every role's manifest: its digest, and what is no longer as it was converged."""
    loaded = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if name.endswith(".json"):
            try:
                loaded[name[:-5]] = json.loads(read(f"{folder}/{name}"))
            except ValueError:
                loaded[name[:-5]] = {}
    parts = [part for manifest in loaded.values() for part in manifest.get("parts", {}).values()]
    seen_units = units(name for part in parts for name in part.get("units", ()))
    seen_packages = packages(name for part in parts for name in part.get("packages", ()))
    answer = {}
    for role, manifest in loaded.items():
        if not manifest.get("complete"):
            answer[role] = {"digest": "", "drift": ["the last converge of this role did not finish"]}
            continue
        drift = []
        for name, part in manifest["parts"].items():
            drift += path_drift(part, part_name(role, name)) + system_drift(part, seen_units, seen_packages)
        answer[role] = {"digest": manifest["digest"], "drift": drift}
    return answer


if __name__ == "__main__":
    json.dump({"facts": facts(), "manifests": manifests()}, sys.stdout)
