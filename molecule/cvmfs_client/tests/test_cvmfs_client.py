"""The facility's own client mounts a repository that another machine publishes. The official client is not tested here."""

testinfra_hosts = ["client"]

REPOSITORY = "/cvmfs/software.here.internal"


def test_programs_run_from_the_repository(host):
    """A program is read through the mount and runs, for users other than root too."""
    assert host.mount_point(REPOSITORY).exists
    assert host.run(f"{REPOSITORY}/bin/hello").rc == 0
    assert host.run(f"setpriv --reuid=nobody --clear-groups {REPOSITORY}/bin/hello").rc == 0


def test_nothing_can_be_written(host):
    """The repository is read-only."""
    assert host.run(f"touch {REPOSITORY}/file").rc != 0


def test_a_killed_client_comes_back(host):
    """What a killed client leaves behind is cleared, and the repository is there again."""
    host.run_expect([0], "pkill --signal KILL --exact cvmfs-mount")
    again = f"for i in $(seq 60); do {REPOSITORY}/bin/hello && exit 0; sleep 0.5; done; exit 1"
    assert host.run(again).rc == 0
    assert host.service("cantiere-cvmfs-software.here.internal").is_enabled
