"""The administrator's kubeconfig: which address of the API server this machine takes."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from cantiere.cluster.admin import answers, pointed
from cantiere.pki import authority, certificate

INSIDE = "10.30.0.20"
"""What the API server's certificate is for; from outside it is reached elsewhere."""


@pytest.fixture(scope="module")
def ours() -> tuple[str, str]:
    return authority("kubernetes")


@pytest.fixture
def server(ours: tuple[str, str], tmp_path: Path) -> Iterator[str]:
    """Address of a server with a certificate of the cluster's authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (tmp_path / "chain.pem").write_text("".join(certificate(*ours, INSIDE, [INSIDE])))
    context.load_cert_chain(tmp_path / "chain.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                guest, _ = listener.accept()
            except OSError:
                return
            with guest, suppress(OSError), context.wrap_socket(guest, server_side=True) as inside:
                inside.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def kubeconfig(certified_by: str) -> str:
    cluster = {"server": f"https://{INSIDE}:6443", "certificate-authority-data": base64.b64encode(certified_by.encode()).decode()}
    return yaml.safe_dump({"clusters": [{"name": "k", "cluster": cluster}], "users": []})


def test_points_to_an_address_that_is_reached() -> None:
    text = kubeconfig("x")
    assert "server: https://192.0.2.1:6443" in pointed(text, "192.0.2.1:6443")
    assert "tls-server-name" not in pointed(text, "192.0.2.1:6443")
    assert f"tls-server-name: {INSIDE}" in pointed(text, "198.51.100.7:6443", INSIDE)


def test_only_the_clusters_own_server_counts(ours: tuple[str, str], server: str) -> None:
    """Not one that answers with another certificate, nor one that takes connections and says nothing of itself."""
    assert answers(kubeconfig(ours[0]), server, INSIDE)
    assert not answers(kubeconfig(ours[0]), server)
    assert not answers(kubeconfig(authority("kubernetes")[0]), server, INSIDE)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert not answers(kubeconfig(ours[0]), address, INSIDE)
    assert not answers(kubeconfig(ours[0]), address, INSIDE)
