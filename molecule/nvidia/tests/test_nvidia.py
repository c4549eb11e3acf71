"""Without a GPU: a machine that is left alone, and one that is prepared. What needs a GPU is not tested here."""

import json

import pytest

LAYOUT = {"all": ["3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb"]}


@pytest.fixture
def name(host):
    """The machine's name in the inventory."""
    return host.ansible.get_variables()["inventory_hostname"]


def test_no_gpu_no_change(host, name):
    """The machine without a GPU has a manifest, and nothing else."""
    if name == "plain":
        assert host.file("/var/lib/cantiere/manifest/nvidia.json").exists
        assert not host.file("/etc/cantiere").exists and not host.file("/etc/containerd").exists
    else:
        assert json.loads(host.file("/etc/cantiere/mig.json").content_string) == LAYOUT
        assert (
            'runtimes.nvidia.options]\n  BinaryName = "/usr/bin/nvidia-container-runtime"'
            in host.file("/etc/containerd/conf.d/60-cantiere-nvidia.toml").content_string
        )


def test_service_waits_for_a_gpu(host, name):
    """The service is enabled, is well formed, and its start passes over a machine without the driver's device."""
    if name == "plain":
        assert host.run("systemctl cat cantiere-mig").rc != 0
        return
    assert host.service("cantiere-mig").is_enabled
    assert host.run("systemd-analyze verify --recursive-errors=no /etc/systemd/system/cantiere-mig.service").stderr == ""
    host.run_expect([0], "systemctl start cantiere-mig")
    assert not host.service("cantiere-mig").is_running
    assert "ConditionPathExists=/dev/nvidiactl" in host.check_output("systemctl status cantiere-mig || true")


def test_program_tells_what_is_missing(host, name):
    """The program runs on the machine's own Python, and says that there is no nvidia-smi."""
    if name == "prepared":
        done = host.run("python3 /usr/local/lib/cantiere/nvidia/mig.py plan /etc/cantiere/mig.json")
        assert done.rc == 1 and "nvidia-smi" in done.stderr and "Traceback" not in done.stderr
