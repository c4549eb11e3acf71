"""What a service may ask about the facility it stands in: names, addresses and issuers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cantiere.model import Facility, Node, Secret, SecretFile

CA = Secret("facility-ca", "generate:ca")
IAM_PORT = 8443


@dataclass(frozen=True, slots=True)
class Facts:
    """The facility and where its parts are found.

    Parameters
    ----------
    facility:
        What the template declares.
    domain:
        DNS domain of the containers.
    paths:
        Named folders of the machine that services may mount: ``samples`` (the sample data), ``engine`` (the folder of the
        container engine's socket), ``cvmfs`` (where CVMFS repositories are mounted for all containers).
    engine:
        ``podman`` or ``docker``.
    network:
        The private network's name in the container engine.
    prefix:
        Prefix of every object's name in the engine.
    images:
        Image name of ``artifacts.yaml`` to its full reference in the engine.
    zone:
        DNS zone under which browsers find the facility's pages, ``https://<service>.<zone>``; ``""`` where they use the names and ports of
        the services themselves.
    """

    facility: Facility
    domain: str
    paths: Mapping[str, str]
    engine: str
    network: str
    prefix: str
    images: Mapping[str, str]
    zone: str = ""

    def fqdn(self, container: str) -> str:
        """The host name of a container."""
        return f"{container}.{self.domain}"

    def page_url(self, container: str, port: int) -> str:
        """Where browsers find a service's pages: under :attr:`zone`, or at its own name and port."""
        return f"https://{container}.{self.zone}" if self.zone else f"https://{self.fqdn(container)}:{port}"

    def issuer_url(self, node: Node) -> str:
        """The issuer URL of an IAM node: the external one where the template names it, else that of the one that runs here."""
        external: str = node.properties.get("issuer_url") or ""
        path: str = node.properties.get("issuer_path") or ""
        return external.rstrip("/") if external else f"{self.page_url(node.name, IAM_PORT)}{path}"

    def issuers(self, node: Node) -> tuple[str, ...]:
        """All issuers whose tokens a service accepts: its IAM first, then those of its ``trusted_issuers``."""
        own = [self.issuer_url(self.facility.node(name)) for name in node.requirements.get("issuer", ())]
        return tuple(dict.fromkeys([*own, *node.properties.get("trusted_issuers", ())]))

    def certificate(self, container: str) -> tuple[SecretFile, SecretFile, SecretFile]:
        """The facility's CA certificate, and a host certificate with its key for one container.

        They appear as ``/run/secrets/ca.pem``, ``hostcert.pem`` and ``hostkey.pem``.
        """
        secret = Secret(
            f"host-{container}",
            "generate:certificate",
            {"common_name": self.fqdn(container), "names": f"{self.fqdn(container)},{container}"},
        )
        return (
            SecretFile(CA, "ca.pem", "certificate"),
            SecretFile(secret, "hostcert.pem", "certificate"),
            SecretFile(secret, "hostkey.pem", "key"),
        )
