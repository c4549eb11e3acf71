"""A client on another machine writes and reads what it may by NFS version 4, and no more."""

import json

import pytest

testinfra_hosts = ["client"]

SHARE = "nfs://server/var/local-path/{}?version=4"


@pytest.fixture(scope="module")
def server(request):
    """The machine with the server."""
    import testinfra

    inventory = request.config.option.ansible_inventory
    return testinfra.get_host(f"ansible://server?ansible_inventory={inventory}")


def test_write_and_read(host, server):
    """A file written by the client is in the server's folder, and comes back the same."""
    host.run_expect([0], "head --bytes 300000 /dev/urandom > /root/sent")
    host.run_expect([0], f"nfs-cp /root/sent '{SHARE.format('shared/file')}'")
    wanted = host.check_output("sha256sum < /root/sent")
    assert server.check_output("sha256sum < /var/local-path/shared/file") == wanted
    host.run_expect([0], f"nfs-cp '{SHARE.format('shared/file')}' /root/back")
    assert host.check_output("sha256sum < /root/back") == wanted
    assert "file" in host.check_output(f"nfs-ls '{SHARE.format('shared')}'")


def test_read_only(host, server):
    """An export that is not writable can be read, and writing is refused."""
    server.run_expect([0], "echo published > /var/local-path/published/file && chmod 644 /var/local-path/published/file")
    host.run_expect([0], f"nfs-cp '{SHARE.format('published/file')}' /root/published")
    assert host.file("/root/published").content_string == "published\n"
    refused = host.run(f"nfs-cp /root/sent '{SHARE.format('published/other')}'")
    assert refused.rc != 0 and "ROFS" in refused.stdout + refused.stderr


def test_other_clients_are_refused(host):
    """An export for other networks cannot be listed."""
    assert host.run(f"nfs-ls '{SHARE.format('elsewhere')}'").rc != 0


def test_service(server):
    """It runs, starts with the machine, answers on its port, and the manifest is finished."""
    assert server.service("nfs-ganesha").is_running and server.service("nfs-ganesha").is_enabled
    assert server.socket("tcp://2049").is_listening
    assert json.loads(server.file("/var/lib/cantiere/manifest/nfs_server.json").content_string)
