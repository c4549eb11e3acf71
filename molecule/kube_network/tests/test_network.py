"""Pods reach each other with the machine's MTU, and a NetworkPolicy blocks what it must."""

import time

import pytest

KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf "
PODS = """
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec: &spec
  tolerations: [{operator: Exists}]
  containers:
    - name: tools
      image: localhost/cantiere/tools:1.37
      command: [sh, -c, "mkdir /www && echo served > /www/index.html && exec httpd -f -p 8080 -h /www"]
---
apiVersion: v1
kind: Pod
metadata: {name: friend, labels: {app: friend}}
spec: {tolerations: [{operator: Exists}], containers: [{name: tools, image: "localhost/cantiere/tools:1.37", command: [sleep, "3600"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: stranger, labels: {app: stranger}}
spec: {tolerations: [{operator: Exists}], containers: [{name: tools, image: "localhost/cantiere/tools:1.37", command: [sleep, "3600"]}]}
"""
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: friends}
spec:
  podSelector: {matchLabels: {app: server}}
  ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]
"""


def apply(host, text):
    """Apply objects."""
    host.run(f"cat > /root/objects.yaml <<'EOF'\n{text}\nEOF")
    host.check_output(KUBECTL + "apply --filename /root/objects.yaml")


@pytest.fixture(scope="module")
def server(host):
    """The address of a pod that serves."""
    apply(host, PODS)
    host.check_output(KUBECTL + "wait --for=condition=Ready pod/server pod/friend pod/stranger --timeout=60s")
    yield host.check_output(KUBECTL + "get pod server --output jsonpath={.status.podIP}")
    host.run(KUBECTL + "delete pod server friend stranger --now")


def reaches(host, pod, address):
    """Whether a pod reaches the server."""
    return "served" in host.run(f"{KUBECTL} exec {pod} -- wget -q -T 2 -O - http://{address}:8080/").stdout


def becomes(host, pod, address, wanted, seconds=45):
    """Whether a pod reaches the server, or not, within a time."""
    for _ in range(seconds):
        if reaches(host, pod, address) == wanted:
            return True
        time.sleep(1)
    return False


def test_network_policy(host, server):
    """All pods reach the server; with the policy only its friend does; without it all do again."""
    assert becomes(host, "friend", server, True) and becomes(host, "stranger", server, True)
    apply(host, POLICY)
    assert becomes(host, "stranger", server, False)
    assert reaches(host, "friend", server)
    host.check_output(KUBECTL + "delete networkpolicy friends")
    assert becomes(host, "stranger", server, True)


def test_mtu(host, server):
    """A pod's interface has the MTU of the machine's."""
    interface = host.check_output("ip route show default | sed 's/.* dev \\([^ ]*\\).*/\\1/'")
    machine = host.file(f"/sys/class/net/{interface}/mtu").content_string.strip()
    assert host.check_output(KUBECTL + "exec friend -- cat /sys/class/net/eth0/mtu") == machine
