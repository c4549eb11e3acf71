"""One machine holds the address: the first one, unless only the other's API answers."""

import time

import pytest


@pytest.fixture
def machines(request):
    """Both machines."""
    import testinfra

    inventory = request.config.option.ansible_inventory
    return [testinfra.get_host(f"ansible://{name}?ansible_inventory={inventory}") for name in ("first", "second")]


def holders(machines):
    """Which of the machines hold the address."""
    return [".250/" in machine.check_output("ip -brief -4 address") for machine in machines]


def until(machines, wanted, seconds=20):
    """Wait until the address is where it should be."""
    for _ in range(seconds * 2):
        if holders(machines) == wanted:
            return True
        time.sleep(0.5)
    return False


def test_without_an_api_the_first_holds_it(machines):
    """So that a cluster can begin there."""
    assert until(machines, [True, False])


def test_it_goes_where_the_api_answers(machines):
    """To the machine whose API answers, and back when that of the first one does too."""
    first, second = machines
    second.check_output("systemctl start api")
    assert until(machines, [False, True])
    first.check_output("systemctl start api")
    assert until(machines, [True, False])


def test_it_leaves_a_machine_that_ends(machines):
    """A machine whose keepalived is killed loses it within five seconds."""
    first, _ = machines
    first.check_output("systemctl stop api")
    assert until(machines, [False, True])
    first.check_output("systemctl start api")
    assert until(machines, [True, False])
