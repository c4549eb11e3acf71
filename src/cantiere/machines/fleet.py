"""The machines of a site, put together once: provider, SSH, placement, variables, and what is seen of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from cantiere import supply
from cantiere.errors import Problem, TemplateError
from cantiere.machines import nodes, openings, registry, roles, roster, wanted
from cantiere.machines.model import POOL, Machine, MachineSeen
from cantiere.machines.plan import FleetSeen, FleetWanted, leader_of
from cantiere.machines.probe import Probed, probe
from cantiere.machines.seen import Converged
from cantiere.machines.ssh import Ssh
from cantiere.model import Facility
from cantiere.plan.definition import Kind
from cantiere.providers.base import Provider
from cantiere.providers.choose import provider_of
from cantiere.services import htcondor
from cantiere.site import REPOSITORY, Site
from cantiere.state import StateStore
from cantiere.supply import charts
from cantiere.supply.push import Registry
from cantiere.values.catalogue import COMPILERS

ARCHITECTURE = "amd64"
CLUSTER_ARTIFACTS = (
    "kubernetes",
    "kubernetes-images",
    "etcd",
    "etcd-image",
    "coredns-image",
    "kube-router-image",
    "pause-image",
    "tools-image",
    "containerd",
    "cni-plugins",
)


@dataclass
class Fleet:
    """The machines of a facility on a site.

    Parameters
    ----------
    site, facility:
        Which.
    replace:
        Machines that are to be made anew.
    scale:
        Pool to how many machines it gets now, for pools that may grow.
    removal:
        Machines that leave first, where pools shrink.
    """

    site: Site
    facility: Facility
    replace: frozenset[str] = field(default_factory=frozenset)
    scale: Mapping[str, int] = field(default_factory=dict)
    removal: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def provider(self) -> Provider:
        """Where the machines come from."""
        pools = self.facility.of_type(POOL)
        filters = {pool.name: tuple(pool.filters.get("machine", ())) for pool in pools}
        return provider_of(self.site, filters, openings.of(self.facility))

    @cached_property
    def ssh(self) -> Ssh:
        """How they are reached."""
        return Ssh(self.site.state_dir / "ssh")

    @cached_property
    def network(self) -> wanted.Network:
        """The cluster's part of the site's network."""
        given, problems = wanted.network_of(self.site.kubernetes)
        if problems:
            raise TemplateError([replace(problem, where=None) for problem in problems])
        return given

    def check(self) -> list[Problem]:
        """What is wrong between the template's pools and the site."""
        return wanted.check(self.facility, self.network)

    def machines(self) -> tuple[Machine, ...]:
        """All machines with their addresses.

        Raises
        ------
        TemplateError
            A machine cannot be placed, or more are to leave than a pool shrinks by.
        """
        placed, problems = self.provider.place(self.asked())
        if problems:
            raise TemplateError(problems)
        return placed

    def leaving(self) -> tuple[Machine, ...]:
        """Machines that were there and are no longer asked for, with their addresses: until they go they can be logged in to."""
        asked = self.asked()
        names = (self._there.seen | self._there.known) - {machine.name for machine in asked}
        if not names:
            return ()
        placed, _ = self.provider.place([*asked, *(Machine(name, "", (), "") for name in sorted(names))])
        return tuple(machine for machine in placed if machine.name in names)

    def asked(self) -> tuple[Machine, ...]:
        """All machines that are asked for, without addresses.

        Raises
        ------
        TemplateError
            More are to leave than a pool shrinks by.
        """
        if problems := roster.problems(self.facility.of_type(POOL), self._there, self._request):
            raise TemplateError(problems)
        return wanted.machines(self.facility, self._there, self._request)

    def absent(self) -> list[Problem]:
        """Machines that are named to leave and are not there."""
        return roster.absent(self.facility.of_type(POOL), self._there, self._request)

    def lost(self) -> tuple[str, ...]:
        """Machines that a run would bring back: preemptible ones that do not run, and those of which only a part was made."""
        states = self._states(self.asked())
        return tuple(machine.name for machine, state in states if state == "broken" or (machine.preemptible and state != "running"))

    def away(self) -> frozenset[str]:
        """Machines that may vanish and do not run: no play waits for them."""
        spare = [machine for machine in self.asked() if machine.preemptible] if self.provider.makes_machines else []
        return frozenset(machine.name for machine, state in self._states(spare) if state != "running")

    def _states(self, machines: Sequence[Machine]) -> list[tuple[Machine, str]]:
        """Each machine with the state that it is in; the provider is asked where there are any."""
        seen = self.provider.observe() if machines else {}
        return [(machine, seen[machine.name].state if machine.name in seen else "absent") for machine in machines]

    def remembered(self) -> frozenset[str]:
        """Machines that were made and not removed, as the state has them."""
        state = StateStore(self.site.state_dir).load()
        before = f"{Kind.MACHINE}/"
        return frozenset(key.removeprefix(before) for key in (state.objects if state else ()) if key.startswith(before))

    @property
    def _request(self) -> roster.Asked:
        return roster.Asked(self.scale, self.removal)

    @cached_property
    def _there(self) -> roster.There:
        """Machines that were there at the first look; where no pool grows and nobody is named to leave, the state knows enough."""
        pools, known = self.facility.of_type(POOL), self.remembered()
        look = any(roster.grows(pool) or pool.properties.get("removal_list") for pool in pools)
        return roster.There(frozenset(self.provider.observe()) if look else known, known)

    def artifacts(self) -> tuple[str, ...]:
        """Artifacts that the machines take: what makes them a cluster, and images of its services that no registry gives."""
        if not any(wanted.in_cluster(machine) for machine in wanted.machines(self.facility)):
            return ()
        return tuple(dict.fromkeys([*CLUSTER_ARTIFACTS, *(charts.node_images(self.site) if self._served() else ())]))

    def _served(self) -> bool:
        """Whether the template has anything that a cluster runs."""
        return any(node.type in COMPILERS for node in self.facility.nodes)

    def version(self) -> str:
        """Version of Kubernetes, or ``""`` without a cluster."""
        return supply.version("kubernetes", self.site) if self.artifacts() else ""

    def missing(self) -> frozenset[str]:
        """Artifacts that are not in the store."""
        return frozenset(supply.missing(self.artifacts(), self.site, ARCHITECTURE))

    def context(self, placed: Sequence[Machine], leader: str, missing: frozenset[str]) -> roles.Context:
        """What the variables of each machine depend on; of artifacts, those that are in the store."""
        there = [name for name in self.artifacts() if name not in missing]
        found = {name: supply.placed([name], self.site, ARCHITECTURE) for name in there}
        jobs = any(pool.properties.get("job_containers") for pool in self.facility.of_type(htcondor.TYPE))
        return roles.Context(placed, self.network, self.version(), leader, found, self.registry_place(placed), jobs)

    def registry_place(self, placed: Sequence[Machine]) -> registry.Place | None:
        """Where the site's own registry is; None where nothing needs images of ours, and where the site names another one."""
        asked = self._served() or any(registry.ROLE in machine.roles for machine in placed)
        if self.site.registry or not asked or not any(wanted.in_cluster(machine) for machine in placed):
            return None
        folder = self.site.state_dir / "secrets" / registry.ROLE
        contents = {name: (folder / name).read_bytes() for name in registry.FILES if (folder / name).is_file()}
        return registry.place_of(placed, PurePosixPath(folder), contents)

    def image_registry(self) -> Registry | None:
        """The site's own registry as those who write to it need it; None where it has none, or its secrets are not made yet."""
        place = self.registry_place(self.machines())
        if place is None or not place.digest:
            return None
        folder = Path(place.folder)
        return Registry(place.prefix, registry.USER, (folder / "password").read_text(encoding="utf-8"), folder / "ca.pem", place.door)

    def wanted(self, placed: Sequence[Machine], leader: str, missing: frozenset[str]) -> FleetWanted:
        """What should be there, with steps for the whole cluster done on one of its machines."""
        context = self.context(placed, leader, missing)
        digests = {}
        for machine in placed:
            mine = roles.roles_of(machine, context)
            digests[machine.name] = roles.digests(mine, roles.variables(machine, context), self._sources(machine, mine))
        return FleetWanted(
            name=self.site.prefix,
            machines=tuple(placed),
            digests=digests,
            artifacts=self.artifacts(),
            version=self.version(),
            leader=leader,
            replace=self.replace,
            makes_machines=self.provider.makes_machines,
        )

    def variables(self, placed: Sequence[Machine]) -> Iterator[tuple[Machine, dict[str, Any]]]:
        """Each machine with the variables of its roles, each role's digest among them."""
        context = self.context(placed, "", self.missing())
        for machine in placed:
            mine = roles.roles_of(machine, replace(context, leader=machine.name))  # any of them may become the leader
            given = roles.variables(machine, context)
            found = roles.digests(mine, given, self._sources(machine, mine))
            yield machine, given | {f"{role}_digest": digest for role, digest in found.items()}

    def observe(self, patience: float = 0.0) -> tuple[FleetWanted, FleetSeen]:
        """What should be there, and what is: the provider, one probe per machine, and the cluster's nodes.

        Parameters
        ----------
        patience:
            Seconds to wait for the API of a cluster whose machines were just started.
        """
        seen = self.provider.observe()
        placed = self.machines()
        everyone = (*placed, *self.leaving())
        pinned = self.ssh.pinned()
        up = [machine for machine in everyone if self._up(machine, seen, pinned)] if self.ssh.config.is_file() else []
        converged = {name: _converged(found) for name, found in probe(self.ssh, up).items()}
        controls = [machine for machine in up if machine.controls and converged[machine.name].reachable]
        cluster = nodes.await_api(self.ssh, controls, patience)
        missing = self.missing()
        should = self.wanted(placed, leader_of(placed, cluster, converged), missing)
        prepared = self.provider.prepared()
        adjustments = () if prepared else self.provider.adjustments()
        whole = prepared or self.provider.whole()
        changes, remembered = self.provider.changes(placed, seen), self.remembered()
        return should, FleetSeen(missing, prepared, whole, adjustments, seen, changes, converged, cluster, remembered)

    def _sources(self, machine: Machine, mine: Sequence[str]) -> dict[str, str]:
        """Role to the digest of its folder and of the site's variables that it may read."""
        folder = self.site.file.parent / "group_vars"
        return {role: folder_digest(role) + group_digest(folder, wanted.groups_of(machine), role) for role in mine}

    def _up(self, machine: Machine, seen: Mapping[str, MachineSeen], pinned: Mapping[str, str]) -> bool:
        """Whether a machine is to be asked: it runs, and its host key is pinned."""
        if not self.provider.makes_machines:
            return machine.name in pinned
        found = seen.get(machine.name)
        return found is not None and found.state == "running" and pinned.get(machine.name) == machine.host_key


def _converged(found: Probed) -> Converged:
    return Converged(
        reachable=found.reachable,
        why=found.why,
        machine_id=str(found.facts.get("machine_id", "")),
        digests={role: manifest.digest for role, manifest in found.manifests.items()},
        drift={role: manifest.drift for role, manifest in found.manifests.items() if manifest.drift},
    )


def group_digest(folder: Path, groups: Sequence[str], role: str) -> str:
    """Digest of the site's variables for a role: ``group_vars/<group>/<role>.yml``, and files that are named after no role.

    Parameters
    ----------
    folder:
        The site's ``group_vars``.
    groups:
        The machine's groups.
    role:
        The role.
    """
    found = hashlib.sha256()
    others = {path.name for path in (REPOSITORY / "roles").iterdir()} - {role}
    for group in ("all", *groups):
        for path in (*sorted((folder / group).glob("*.y*ml")), folder / f"{group}.yml"):
            if path.is_file() and path.stem not in others:
                found.update(path.read_bytes())
    return found.hexdigest()


@cache
def folder_digest(role: str) -> str:
    """Digest of all files of the repository that decide what a role makes: its folder, and what its filters call."""
    folder = REPOSITORY / "roles" / role
    mine = [path for path in folder.rglob("*") if path.name != "README.md" and path.parent.name != "meta"]
    others = [path for pattern in roles.MADE_FROM.get(role, ()) for path in REPOSITORY.glob(pattern)]
    found = hashlib.sha256()
    for path in sorted({*mine, *others}):
        if path.is_file() and path.suffix != ".pyc":
            found.update(str(path.relative_to(REPOSITORY)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()
