"""What was deleted after a snapshot is back after its restoration, and what was made since is gone."""

import os
import subprocess
from pathlib import Path

KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf "
REPOSITORY = Path(__file__).parents[3]


def playbook(name, request):
    """Run a playbook of the repository on the scenario's machine."""
    command = ["ansible-playbook", "-i", request.config.option.ansible_inventory, f"playbooks/{name}.yml"]
    environment = {key: value for key, value in os.environ.items() if key != "ANSIBLE_CONFIG"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


def test_back_to_a_snapshot(host, request):
    """Saved, changed, restored."""
    host.check_output(KUBECTL + "create configmap kept --from-literal=is=here")
    playbook("etcd-backup", request)
    host.check_output(KUBECTL + "delete configmap kept")
    host.check_output(KUBECTL + "create configmap later --from-literal=is=new")
    playbook("etcd-restore", request)
    assert host.check_output(KUBECTL + "get configmap kept --output jsonpath={.data.is}") == "here"
    assert "NotFound" in host.run(KUBECTL + "get configmap later").stderr


def test_timer(host):
    """The timer waits for its next run, and what it runs works."""
    assert host.service("cantiere-etcd-backup.timer").is_enabled
    assert host.service("cantiere-etcd-backup.timer").is_running
    before = set(host.file("/var/backups/etcd").listdir())
    host.check_output("systemctl start cantiere-etcd-backup.service")
    (new,) = set(host.file("/var/backups/etcd").listdir()) - before
    assert host.file(f"/var/backups/etcd/{new}").mode == 0o600


def test_only_the_newest_are_kept(host):
    """Older snapshots go when there are more than the wanted number."""
    host.check_output("cantiere-etcd save /var/backups/few 2 && sleep 1 && cantiere-etcd save /var/backups/few 2")
    newest = host.check_output("sleep 1 && cantiere-etcd save /var/backups/few 2")
    found = sorted(host.file("/var/backups/few").listdir())
    assert len(found) == 2 and newest.endswith(found[-1])
