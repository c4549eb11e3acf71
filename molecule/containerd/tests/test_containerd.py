"""Containers run from imported images, and outlive a restart of containerd."""

CTR = "ctr --namespace k8s.io "
TOOLS = "localhost/cantiere/tools:1.37"


def test_service(host):
    """It runs, and starts with the machine."""
    assert host.service("containerd").is_running and host.service("containerd").is_enabled


def test_a_container_runs(host):
    """An imported image runs, with a limit of memory that the kernel holds it to."""
    assert host.check_output(f"{CTR} run --rm {TOOLS} hello echo from inside") == "from inside"
    assert host.run(f"{CTR} run --rm --memory-limit 33554432 {TOOLS} hungry tail /dev/zero").rc == 137


def test_containers_outlive_a_restart(host):
    """A restart of containerd leaves its containers alone."""
    host.check_output(f"{CTR} run --detach {TOOLS} sleeper sleep 1000")
    before = host.check_output(f"{CTR} tasks list | grep sleeper")
    host.check_output("systemctl restart containerd")
    assert host.check_output(f"{CTR} tasks list | grep sleeper") == before
    host.run(f"{CTR} tasks kill --signal SIGKILL sleeper; sleep 1; {CTR} containers delete sleeper")


def test_mirror(host):
    """The mirror of a registry is where containerd looks for it."""
    assert "mirror.example.org" in host.file("/etc/containerd/certs.d/images.example.org/hosts.toml").content_string
