"""CernVM-FS on a machine: configuration of domains, and mounts as units of systemd. Pure.

Source: https://cvmfs.readthedocs.io (client configuration, mounting), systemd.mount(5), systemd-escape(1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ROOT = "/cvmfs"
UNITS = "/etc/systemd/system"
AUTOFS = "/etc/auto.master.d/cantiere-cvmfs.autofs"


def mounts(
    repositories: Sequence[str], flavour: str, kind: str, program: str, urls: Mapping[str, str], cache: str
) -> dict[str, list[dict[str, Any]] | list[list[str]]]:
    """What mounts repositories on a machine.

    Parameters
    ----------
    repositories:
        Full names.
    flavour:
        ``official`` or ``facility``.
    kind:
        ``autofs`` or ``static``; of the official client alone.
    program, urls:
        Of the facility's own client: where it is, and the address of each repository.
    cache:
        Folder of the caches.

    Returns
    -------
    dict
        ``files``, ``directories`` and ``units`` as ``cantiere_manifest`` takes them, and ``probes``: commands that
        succeed once all is there.
    """
    if flavour == "facility":
        files = [_service(name, program, urls[name], cache) for name in repositories]
        probes = [["mountpoint", "--quiet", f"{ROOT}/{name}"] for name in repositories]
        units = [{"name": file["path"].rpartition("/")[2], "restart_on": [file["path"]]} for file in files]
        return {"files": files, "directories": [{"path": cache, "mode": "0700"}], "units": units, "probes": probes}
    probes = [["cvmfs_config", "probe", name] for name in repositories]
    if kind == "autofs":
        files = [{"path": AUTOFS, "content": f"# Made by cantiere.\n{ROOT} /etc/auto.cvmfs\n"}]
        units = [{"name": "autofs.service", "restart_on": [AUTOFS]}]
        return {"files": files, "directories": [], "units": units, "probes": probes}
    files = [_mount(name) for name in repositories]
    units = [{"name": file["path"].rpartition("/")[2], "restart_on": [file["path"]]} for file in files]
    return {"files": files, "directories": [], "units": units, "probes": probes}


def domain_files(domains: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Files with the servers and public keys of domains, for the official client."""
    made = []
    for domain in domains:
        name, folder = domain["name"], f"/etc/cvmfs/keys/{domain['name']}"
        keys = [{"path": f"{folder}/{number}.pub", "content": key.strip() + "\n"} for number, key in enumerate(domain["keys"], 1)]
        lines = ["# Made by cantiere.", f'CVMFS_SERVER_URL="{";".join(domain["servers"])}"', f"CVMFS_KEYS_DIR={folder}", ""]
        made += [*keys, {"path": f"/etc/cvmfs/domain.d/{name}.local", "content": "\n".join(lines)}]
    return made


def escaped(path: str) -> str:
    """A path as systemd writes it in the name of a unit."""
    plain = path.strip("/")
    return "".join(
        "-" if sign == "/" else sign if sign.isalnum() or sign in ":_" or (sign == "." and place) else f"\\x{ord(sign):02x}"
        for place, sign in enumerate(plain)
    )


def _mount(name: str) -> dict[str, str]:
    where = f"{ROOT}/{name}"
    lines = ["# Made by cantiere.", "[Unit]", f"Description=CernVM-FS repository {name}", "Wants=network-online.target"]
    lines += ["After=network-online.target", "", "[Mount]", f"What={name}", f"Where={where}", "Type=cvmfs", "Options=nodev,_netdev", ""]
    lines += ["[Install]", "WantedBy=remote-fs.target", ""]
    return {"path": f"{UNITS}/{escaped(where)}.mount", "content": "\n".join(lines)}


def _service(name: str, program: str, url: str, cache: str) -> dict[str, str]:
    where = f"{ROOT}/{name}"
    lines = ["# Made by cantiere.", "[Unit]", f"Description=CernVM-FS repository {name}", "Wants=network-online.target"]
    lines += ["After=network-online.target", "StartLimitIntervalSec=0", "", "[Service]"]
    lines += [f"ExecStartPre=-/usr/bin/umount --lazy --quiet {where}", f"ExecStartPre=/usr/bin/mkdir --parents {where} {cache}/{name}"]
    lines += [f"ExecStart={program} {url} {where} {cache}/{name}"]
    lines += [f"ExecStopPost=-/usr/bin/umount --lazy --quiet {where}", f"ExecStopPost=-/usr/bin/rmdir --ignore-fail-on-non-empty {where}"]
    lines += ["Restart=always", "RestartSec=5", "", "[Install]", "WantedBy=multi-user.target", ""]
    return {"path": f"{UNITS}/cantiere-cvmfs-{name}.service", "content": "\n".join(lines)}
