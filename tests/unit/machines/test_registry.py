"""The machine that serves a site's images, what its role is told, and what all nodes are told of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from cryptography import x509

from cantiere.machines import registry
from cantiere.machines.model import Machine
from cantiere.machines.roles import Context, digests, roles_of, variables
from cantiere.machines.wanted import Network
from cantiere.secrets import SecretStore

NETWORK = Network(virtual_address="10.0.0.250", machine_networks=("10.0.0.0/24",))


def machine(name: str, address: str, *does: str) -> Machine:
    return Machine(name, name, does, address)


CONTROLS = (machine("control-2", "10.0.0.12", "control-plane"), machine("control-1", "10.0.0.11", "control-plane"))
WORKER = machine("worker-1", "10.0.0.21", "worker")
OWN = machine("images-1", "10.0.0.31", "registry")


def place_of(placed: tuple[Machine, ...], folder: Path) -> registry.Place | None:
    """The place, with what is in its folder."""
    there = {name: (folder / name).read_bytes() for name in registry.FILES if (folder / name).is_file()}
    return registry.place_of(placed, PurePosixPath(folder), there)


def filled(folder: Path, placed: tuple[Machine, ...]) -> registry.Place:
    """The place with the files that the site's store makes."""
    store = SecretStore(folder)
    where = folder / "secrets" / registry.ROLE
    first = place_of(placed, where)
    assert first is not None and not first.digest and not first.ca
    store.materialise([first])
    found = place_of(placed, where)
    assert found is not None
    return found


def test_which_machine() -> None:
    assert registry.machine_of((*CONTROLS, WORKER)) == CONTROLS[1]
    assert registry.machine_of((*CONTROLS, WORKER, OWN)) == OWN
    assert registry.machine_of((WORKER,)) is None
    assert place_of((WORKER,), Path("/none")) is None


def test_files_and_names(tmp_path: Path) -> None:
    place = filled(tmp_path, (*CONTROLS, WORKER))
    assert (place.prefix, place.door) == ("10.0.0.11:5000/cantiere", "10.0.0.11:5001/cantiere")
    assert place.ca.startswith("-----BEGIN CERTIFICATE-----")
    assert all(Path(place.folder / name).stat().st_mode & 0o077 == 0 for name in registry.FILES)
    assert filled_again(tmp_path, place) == place.digest, "made once"


def filled_again(folder: Path, place: registry.Place) -> str:
    SecretStore(folder).materialise([place])
    found = place_of((*CONTROLS, WORKER), Path(place.folder))
    assert found is not None
    return found.digest


def test_another_address_makes_another_certificate(tmp_path: Path) -> None:
    place = filled(tmp_path, (OWN,))
    moved = place_of((replace(OWN, address="10.0.0.32"),), Path(place.folder))
    assert moved is not None
    SecretStore(tmp_path).materialise([moved])
    again = place_of((replace(OWN, address="10.0.0.32"),), Path(place.folder))
    assert again is not None and again.digest != place.digest
    assert again.ca == place.ca


def test_an_address_from_outside(tmp_path: Path) -> None:
    """Images are written by the address that this machine reaches, which the certificate has too; nodes read by their own network."""
    place = filled(tmp_path, (replace(OWN, door="198.51.100.7"),))
    assert (place.prefix, place.door) == ("10.0.0.31:5000/cantiere", "198.51.100.7:5001/cantiere")
    certificate = x509.load_pem_x509_certificate((Path(place.folder) / "certificate.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(item) for item in names.get_values_for_type(x509.IPAddress)} == {"10.0.0.31", "198.51.100.7"}


def test_roles_and_variables(tmp_path: Path) -> None:
    placed = (*CONTROLS, WORKER)
    place = filled(tmp_path, placed)
    context = Context(placed, NETWORK, "1.36.3", "control-2", {}, place)
    assert [machine.name for machine in placed if "registry" in roles_of(machine, context)] == ["control-1"]
    given = {machine.name: variables(machine, context) for machine in placed}
    assert given["control-1"]["registry_password_file"] == str(place.folder / "password")
    assert not [key for key in given["worker-1"] if key.startswith("registry_")]
    assert {name: found["containerd_authorities"] for name, found in given.items()} == {
        machine.name: {"10.0.0.11:5000": place.ca} for machine in placed
    }
    assert [row["port"] for row in given["control-1"]["base_firewall_ports"]] == [6443, 5001]
    assert [row["port"] for row in given["control-2"]["base_firewall_ports"]] == [6443]
    password = Path(place.folder / "password").read_text(encoding="utf-8")
    assert password not in str(given), "the inventory names files, it does not hold what is in them"
    changed = variables(CONTROLS[1], replace(context, registry=replace(place, digest="another")))
    folders = {"registry": "r", "containerd": "c"}
    before, after = digests(tuple(folders), given["control-1"], folders), digests(tuple(folders), changed, folders)
    assert before["registry"] != after["registry"] and before["containerd"] == after["containerd"]


def test_without_one() -> None:
    context = Context(CONTROLS, NETWORK, "1.36.3", "control-1")
    assert "registry" not in roles_of(CONTROLS[1], context)
    assert not [key for key in variables(CONTROLS[1], context) if key.startswith(("registry_", "containerd_authorities"))]
