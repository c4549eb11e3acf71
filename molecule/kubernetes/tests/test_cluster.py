"""A worker joins its control plane, and Services, DNS and labels work across machines."""

import json
import time

import pytest

testinfra_hosts = ["control"]
KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf "
WEB = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeSelector: {pool: small}
  containers:
    - name: web
      image: localhost/cantiere/tools:1.37
      command: [sh, -c, "mkdir /www && echo served > /www/index.html && exec httpd -f -p 8080 -h /www"]
      resources: {limits: {memory: 32Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


def until(host, command, wanted, seconds=60):
    """The output of a command once it holds what is wanted."""
    for _ in range(seconds):
        done = host.run(command)
        if wanted in done.stdout:
            return done.stdout
        time.sleep(1)
    raise AssertionError(f"{command}: {done.stdout}{done.stderr}")


@pytest.fixture(scope="module")
def web(host):
    """A pod on the worker, behind a Service."""
    host.run(f"cat > /root/web.yaml <<'EOF'\n{WEB}\nEOF")
    host.check_output(KUBECTL + "apply --filename /root/web.yaml")
    host.check_output(KUBECTL + "wait --for=condition=Ready pod/web --timeout=60s")
    yield host.check_output(KUBECTL + "get service web --output jsonpath={.spec.clusterIP}")
    host.run(KUBECTL + "delete --filename /root/web.yaml --now")


def test_nodes(host):
    """Both are ready, with the labels and taints of their variables."""
    nodes = {item["metadata"]["name"]: item for item in json.loads(host.check_output(KUBECTL + "get nodes --output json"))["items"]}
    assert sorted(nodes) == ["control", "node"]
    for node in nodes.values():
        assert {"type": "Ready", "status": "True"}.items() <= next(c for c in node["status"]["conditions"] if c["type"] == "Ready").items()
    assert {"pool": "small", "example.org/kind": "y"}.items() <= nodes["node"]["metadata"]["labels"].items()
    assert nodes["node"]["spec"]["taints"] == [{"key": "reserved", "value": "yes", "effect": "PreferNoSchedule"}]
    assert [taint["key"] for taint in nodes["control"]["spec"]["taints"]] == ["node-role.kubernetes.io/control-plane"]


def test_service_from_another_machine(host, web):
    """The Service of a pod on the worker answers on the control plane, by kube-proxy's nftables."""
    assert until(host, f"curl --silent --max-time 5 http://{web}/", "served") == "served\n"
    assert host.run("nft list table ip kube-proxy").rc == 0


def test_dns(host, web):
    """A pod finds the Service by its name."""
    assert "served" in until(host, KUBECTL + "exec web -- wget -q -T 5 -O - http://web.default.svc.cluster.local/", "served")


def test_memory_limit(host, web):
    """A pod that takes more memory than its limit is killed."""
    taken = host.run(KUBECTL + "exec web -- sh -c 'tail /dev/zero'")
    assert taken.rc == 137, taken.stderr


def test_no_secret_is_left(host):
    """The configuration holds no token, and the log of kubeadm is root's alone."""
    assert host.run("grep -rE 'token:|certificateKey' /etc/kubernetes/cantiere").stdout == ""
    assert host.file("/var/log/cantiere-kubeadm.log").mode == 0o600
