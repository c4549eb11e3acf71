from __future__ import annotations

import itertools
from dataclasses import replace

from cantiere.compose import changes, create_arguments, digest, hardware_address, spec
from cantiere.model import Mount
from unit.core.samples import HUB, STORE, project


def test_a_container_as_the_engine_takes_it() -> None:
    made = project()
    specification = spec(made, STORE, "localhost/minio:1")
    arguments = create_arguments(made, STORE, specification, "lineage", "/state/secrets/store")
    pairs = list(itertools.pairwise(arguments))
    for pair in [
        ("--name", "cantiere-test-store"),
        ("--hostname", "store.x.test"),
        ("--ip", "10.9.0.10"),
        ("--network-alias", "store.x.test"),
        ("--volume", "/state/secrets/store:/run/secrets:ro"),
        ("--volume", "cantiere-test-store-data:/data"),
        ("--publish", "127.0.0.1:9000:9000"),
        ("--label", f"cantiere.digest={digest(specification)}"),
    ]:
        assert pair in pairs
    assert arguments[-1] == "localhost/minio:1"


def test_limits_are_given_in_bytes_and_cores() -> None:
    arguments = create_arguments(project(), HUB, spec(project(), HUB, "i"), "l", "s")
    assert arguments[arguments.index("--memory") + 1] == "1024"
    assert arguments[arguments.index("--cpus") + 1] == "1.5"


def test_shared_mounts_keep_their_propagation() -> None:
    container = replace(STORE, mounts=(Mount("/srv/cvmfs", "/cvmfs", read_only=True, propagation="rslave"),))
    assert spec(project(), container, "i")["mounts"] == ["/srv/cvmfs:/cvmfs:ro,rslave"]


def test_no_secret_value_is_part_of_a_specification() -> None:
    assert spec(project(), STORE, "i")["secrets"] == ["store-password/value>password"]


def test_the_digest_follows_every_part_of_the_specification() -> None:
    before = spec(project(), STORE, "i")
    assert digest(before) == digest(spec(project(), STORE, "i"))
    assert digest(before) != digest(spec(project(), replace(STORE, stop_grace=99.0), "i"))


def test_changes_name_the_path_and_both_values() -> None:
    assert changes({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3, "d": 4}}) == "a.c 2 → 3, a.d null → 4"
    assert changes({str(n): n for n in range(9)}, {}).endswith("(+6 more)")


def test_an_address_keeps_its_hardware_address() -> None:
    first, second = (hardware_address(address) for address in ("10.9.0.10", "10.9.0.11"))
    assert first != second
    assert int(first.split(":")[0], 16) & 0b11 == 0b10  # locally administered, not a group
