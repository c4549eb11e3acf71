"""What a machine carries that a test could leave behind."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


def _lines(*command: str) -> frozenset[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return frozenset(line.strip() for line in done.stdout.splitlines() if line.strip())


@dataclass(frozen=True)
class Host:
    """Network name spaces, links, mounts, nft tables, control groups, kernel settings and machines' processes of this machine."""

    parts: dict[str, frozenset[str]]

    @classmethod
    def look(cls) -> Host:
        """What is there now."""
        settings = ("net/ipv4/ip_forward", "vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops")
        links = frozenset(line.split(":")[1].split("@")[0].strip() for line in _lines("ip", "-o", "link"))
        mounts = frozenset(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
        groups = frozenset(str(path) for path in Path("/sys/fs/cgroup").glob("**/*cantiere*") if path.is_dir())
        return cls(
            {
                "network name spaces": frozenset(line.split()[0] for line in _lines("ip", "netns")),
                "links": links,
                "mounts": mounts,
                "nft tables": _lines("nft", "list", "tables"),
                "control groups": groups,
                "settings": frozenset(f"{name}={Path('/proc/sys', name).read_text().strip()}" for name in settings),
                "processes": frozenset(line for line in _lines("pgrep", "-a", "systemd-nspawn") if "<defunct>" not in line),
            }
        )

    def more_than(self, before: Host) -> dict[str, list[str]]:
        """What is there beyond what was before; empty where nothing is."""
        found = {name: sorted(items - before.parts[name]) for name, items in self.parts.items()}
        return {name: items for name, items in found.items() if items}
