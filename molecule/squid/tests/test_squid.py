"""A proxy serves its networks from its cache, and fetches from the named servers only."""

import json

import pytest

testinfra_hosts = ["site"]

SHOWN = "--output /dev/null --write-out '%{http_code} %header{cache-status}'"
PROXY = f"curl --silent --show-error --max-time 20 --proxy http://proxy:3128 {SHOWN} "


@pytest.fixture(scope="module")
def proxy(request):
    """The machine with the proxy."""
    import testinfra

    inventory = request.config.option.ansible_inventory
    return testinfra.get_host(f"ansible://proxy?ansible_inventory={inventory}")


def test_second_fetch_comes_from_the_cache(host):
    """The first fetch goes to the server, the second is a hit, and the server sees one request."""
    address = "http://site:8000/object?once"
    before = host.check_output("journalctl --unit web-8000 --output cat --no-pager").count("once")
    answers = [host.check_output(PROXY + address) for _ in range(2)]
    after = host.check_output("journalctl --unit web-8000 --output cat --no-pager").count("once")
    assert answers[0].startswith("200 ") and answers[1].startswith("200 ")
    assert "hit" in answers[1], answers
    assert after - before <= 1


@pytest.mark.parametrize(
    "address",
    ["http://site:9000/object", "http://proxy:8000/", "http://10.255.255.1:8000/"],
    ids=["another port", "another server", "an address that is not named"],
)
def test_others_are_refused(host, address):
    """What is not named is refused by the proxy itself."""
    assert host.check_output(PROXY + address).startswith("403 ")


def test_writing_is_refused(host):
    """The proxy only reads."""
    assert host.check_output(PROXY + "--data x http://site:8000/object").startswith("403 ")


def test_other_networks_are_refused(proxy):
    """The machine's own address is not among the networks that are served."""
    assert proxy.check_output(PROXY + "http://site:8000/object").startswith("403 ")


def test_service(proxy):
    """It runs with our file, starts with the machine, and the manifest is finished."""
    assert proxy.service("squid").is_running and proxy.service("squid").is_enabled
    assert "/etc/squid/cantiere.conf" in proxy.check_output("tr '\\0' ' ' < /proc/$(cat /run/squid.pid)/cmdline")
    assert json.loads(proxy.file("/var/lib/cantiere/manifest/squid.json").content_string)
