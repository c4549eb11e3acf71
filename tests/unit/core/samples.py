"""A small project that tests of the core share."""

from __future__ import annotations

from cantiere.compose import spec
from cantiere.model import Container, Mount, Port, Probe, Project, Secret, SecretFile
from cantiere.plan.build import Wanted

PASSWORD = Secret("store-password")
STORE = Container(
    name="store",
    service="store",
    image="minio",
    settings={"buckets": ["analysis"]},
    secrets=(SecretFile(PASSWORD, "password"),),
    mounts=(Mount("store-data", "/data"),),
    ports=(Port(9000, "https://store.x:9000", "S3"),),
    probe=Probe(("true",)),
)
HUB = Container(name="hub", service="hub", image="jupyterhub", settings={"max": 2}, memory=1024, cpus=1.5, needs=("store",))


def project(*containers: Container) -> Project:
    """A project of these containers."""
    return Project(
        name="cantiere-test",
        domain="x.test",
        subnet="10.9.0.0/20",
        bind_address="127.0.0.1",
        volumes=("store-data",),
        containers=containers or (STORE, HUB),
        addresses={c.name: f"10.9.0.{place}" for place, c in enumerate(containers or (STORE, HUB), start=10)},
    )


def wanted(*containers: Container, samples: str | None = None) -> Wanted:
    """What should be there for a project of these containers."""
    made = project(*containers)
    return Wanted(
        project=made,
        specifications={c.name: spec(made, c, f"localhost/{c.image}:1") for c in made.containers},
        images=[("base", "", "localhost/base:1"), *((c.image, "base", f"localhost/{c.image}:1") for c in made.containers)],
        samples=samples,
        engine_api=False,
        mounts=(),
        names={f"{c.name}.x.test": made.addresses[c.name] for c in made.containers},
    )
