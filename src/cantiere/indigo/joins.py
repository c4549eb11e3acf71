"""What services of ours need of each other, and what is added where a template of theirs has nothing of the kind."""

from __future__ import annotations

from collections.abc import Mapping

from cantiere.indigo.model import Part
from cantiere.indigo.table import N

NEEDS: Mapping[str, Mapping[str, str]] = {
    f"{N}HTCondorPool": {"issuer": "IAM"},
    f"{N}XRootDOrigin": {"issuer": "IAM"},
    f"{N}XRootDCache": {"issuer": "IAM", "source": "XRootDOrigin"},
    f"{N}ObjectStore": {"issuer": "IAM"},
    f"{N}JupyterHub": {"issuer": "IAM"},
    f"{N}DaskGateway": {"hub": "JupyterHub"},
}
"""Our type to what it cannot be without; one that is missing is added with :data:`ADDED`."""

USES: Mapping[str, Mapping[str, str]] = {
    f"{N}JupyterHub": {"queue": "HTCondorPool", "store": "ObjectStore", "software": "CVMFS"},
    f"{N}HTCondorPool": {"software": "CVMFS"},
    f"{N}Monitoring": {"queue": "HTCondorPool"},
}
"""Our type to what it is joined with where that is there."""

ADDED: Mapping[str, tuple[Part, str, str]] = {
    "IAM": (
        Part(f"{N}IAM", name="iam"),
        "No issuer of tokens is named: a development IAM is added, which is for trials.",
        "Add a node of type tosca.nodes.indigo.iam.client with the property issuer.",
    ),
    "XRootDOrigin": (
        Part(f"{N}XRootDOrigin", fixed={"sample_data": False}, name="origin"),
        "No origin is named that the cache could ask: an empty one is added.",
        "Fill it, or write the facility with the types cantiere.nodes.XRootDOrigin and cantiere.nodes.XRootDCache.",
    ),
    "JupyterHub": (
        Part(f"{N}JupyterHub", name="hub"),
        "The gateway needs a hub: one is added.",
        "Leave it, or write the facility in our types.",
    ),
}
"""What is added where something is missing: the node, what is told, and what can be done."""
