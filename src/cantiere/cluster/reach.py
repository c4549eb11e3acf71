"""Services of a cluster under their own names, for this process alone and without a route to the cluster's networks.

A name of a Service is answered with a port of the loopback interface, behind which every connection is led through
the API server into a pod of that Service.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any

from cantiere.cluster.client import KubeApi
from cantiere.cluster.pods import Pods
from cantiere.errors import CantiereError

CHUNK = 1 << 16
BACKLOG = 64

Place = tuple[Pods, str, int, str]
"""Where a name leads: a namespace, the Service there, its port, and the pod if the name is that of a single one."""


class Reach:
    """While entered, the cluster's Services and their single pods can be connected to by their full names.

    Parameters
    ----------
    api:
        The cluster.
    domain:
        Its DNS domain: ``cluster.local``.
    """

    def __init__(self, api: KubeApi, domain: str) -> None:
        self.api = api
        self.suffix = f".svc.{domain}"
        self._doors: dict[tuple[str, int], socket.socket] = {}
        self._lock = threading.Lock()
        self._resolve = socket.getaddrinfo

    def __enter__(self) -> Reach:
        socket.getaddrinfo = self._answer
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        socket.getaddrinfo = self._resolve
        for door in self._doors.values():
            door.close()
        self._doors.clear()

    def _answer(self, host: Any, port: Any, *others: Any, **more: Any) -> list[tuple[Any, ...]]:
        if not isinstance(host, str) or not host.endswith(self.suffix):
            return list(self._resolve(host, port, *others, **more))
        with self._lock:
            door = self._doors.get((host, int(port))) or self._open(host, int(port))
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", door.getsockname())]

    def _open(self, host: str, port: int) -> socket.socket:
        door = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self._doors[host, port] = door
        *pod, service, namespace = host.removesuffix(self.suffix).split(".")
        place = (Pods(self.api, namespace), service, port, "".join(pod))
        threading.Thread(target=self._serve, args=(door, place), daemon=True).start()
        return door

    def _serve(self, door: socket.socket, place: Place) -> None:
        while True:
            try:
                guest, _ = door.accept()
            except OSError:  # closed: nobody needs it any more
                return
            threading.Thread(target=self._lead, args=(guest, place), daemon=True).start()

    @staticmethod
    def _lead(guest: socket.socket, place: Place) -> None:
        """Lead one connection to a pod; where there is none it is closed, as a Service without pods refuses it."""
        from kubernetes.client.exceptions import ApiException
        from kubernetes.stream import portforward

        pods, service, port, wanted = place
        with guest, suppress(CantiereError, ApiException, OSError):
            pod, number = pods.address(service, port, wanted)
            call = pods.api.core().connect_get_namespaced_pod_portforward
            forward = portforward(call, pod, pods.namespace, ports=str(number))
            inside = forward.socket(number)
            inside.setblocking(True)
            back = threading.Thread(target=_pump, args=(inside, guest), daemon=True)
            back.start()
            _pump(guest, inside)
            back.join()
            forward.close()


def _pump(source: Any, target: Any) -> None:
    """Copy until the source ends, and tell the target so."""
    with suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
