"""Nova's compute driver for scale: servers are records, on as many nodes as clouds of a thousand servers have."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from nova.virt import fake

NODES = Path("/etc/bed-nodes")
"""How many there are. Nova claims one server after the other, and asks placement each time for every server of the node."""


class RecordsDriver(fake.FakeDriverWithoutFakeNodes):
    """The fake driver with more nodes: the first is the host itself, the others keep their identifiers over a restart too."""

    def init_host(self, host: str) -> None:
        super().init_host(host)
        self._set_nodes([host, *(f"{host}-{number}" for number in range(2, int(NODES.read_text(encoding="utf-8")) + 1))])

    def get_available_resource(self, nodename: str) -> Any:
        identifiers = {name: number for number, name in self.get_nodenames_by_uuid().items()}
        return {**super().get_available_resource(nodename), "uuid": identifiers[nodename]}

    def get_nodenames_by_uuid(self, refresh: bool = False) -> dict[str, str]:
        others = {str(uuid.uuid5(uuid.NAMESPACE_DNS, name)): name for name in self.get_available_nodes()[1:]}
        return {**super().get_nodenames_by_uuid(refresh), **others}
