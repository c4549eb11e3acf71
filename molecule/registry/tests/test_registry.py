"""Everyone reads, those who know the password write, nobody else; and what is written is kept through a collection."""

import json

import pytest

testinfra_hosts = ["site"]

CURL = "curl --silent --show-error --max-time 20 --cacert /root/ca.pem --output /dev/null --write-out '%{http_code}' "
WRITER = "--config /root/writer "
READ = "https://registry:5000/v2/"
WRITE = "https://registry:5001/v2/"
TYPE = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module")
def registry(request):
    """The machine that serves images."""
    import testinfra

    inventory = request.config.option.ansible_inventory
    return testinfra.get_host(f"ansible://registry?ansible_inventory={inventory}")


@pytest.fixture(scope="module")
def written(host):
    """An image with an empty configuration and no layers, written with the password."""
    digest = host.check_output("printf '{}' | sha256sum | cut -d' ' -f1")
    start = f"curl --silent --cacert /root/ca.pem {WRITER} --request POST --dump-header - {WRITE}cantiere/small/blobs/uploads/"
    place = next(line.split()[1] for line in host.check_output(start).splitlines() if line.lower().startswith("location:"))
    upload = f"{CURL} {WRITER} --request PUT --header 'Content-Type: application/octet-stream' --data-binary '{{}}'"
    assert host.check_output(f"{upload} '{place}&digest=sha256:{digest}'") == "201"
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{digest}", "size": 2}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": TYPE, "config": config, "layers": []})
    put = f"{CURL} {WRITER} --request PUT --header 'Content-Type: {TYPE}' --data-binary '{manifest}' {WRITE}cantiere/small/manifests/1"
    assert host.check_output(put) == "201"
    return f"cantiere/small/manifests/1 --header 'Accept: {TYPE}'"


def test_all_read(host, written):
    """What was written is there for every node without a password."""
    assert host.check_output(CURL + READ + written) == "200"


def test_reading_door_does_not_write(host):
    """The service that reads takes nothing, not even with the password."""
    assert host.check_output(f"{CURL} {WRITER} --request POST {READ}cantiere/small/blobs/uploads/") == "405"


@pytest.mark.parametrize("who", ["", "--user cantiere:wrong ", "--user other:x "], ids=["nobody", "wrong password", "another user"])
def test_others_do_not_write(host, who):
    """Without the password nothing is written, nor read where things are written."""
    assert host.check_output(f"{CURL} {who} --request POST {WRITE}cantiere/small/blobs/uploads/") == "401"
    assert host.check_output(CURL + who + WRITE) == "401"


def test_certificate_is_of_the_authority(host):
    """Who does not know the facility's authority is not served."""
    assert host.run(f"curl --silent {READ}").rc == 60


def test_password_is_not_readable(registry):
    """The hash and the key are for the service alone."""
    for name in ("htpasswd", "key.pem"):
        file = registry.file(f"/etc/cantiere/registry/{name}")
        assert (file.user, file.group, file.mode) == ("root", "docker-registry", 0o640)


def test_collection_keeps_what_is_named(host, registry, written):
    """What no image names goes, the image stays, and it can be written again afterwards."""
    registry.check_output("systemctl start cantiere-registry-collect.service")
    assert host.check_output(CURL + READ + written) == "200"
    assert host.check_output(f"{CURL} --retry 5 --retry-connrefused {WRITER} {WRITE}") == "200"


def test_services(registry):
    """Both run and start with the machine, the package's own does not, and the manifest is finished."""
    for name in ("cantiere-registry", "cantiere-registry-write"):
        assert registry.service(name).is_running and registry.service(name).is_enabled
    assert not registry.service("docker-registry").is_running
    assert json.loads(registry.file("/var/lib/cantiere/manifest/registry.json").content_string)
