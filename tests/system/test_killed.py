"""Killed: `up` is killed with SIGKILL at random moments and run again, and ends in the same facility."""

from __future__ import annotations

import random
from typing import Any

SEED = 20250
MOMENTS = 3
LONGEST = 20.0


def test_up_survives_sigkill(cantiere: Any, engine: Any) -> None:
    cantiere.run("up")
    wanted = sorted(engine.containers())
    moments = random.Random(SEED)
    for number in range(MOMENTS):
        cantiere.run("down")
        moment = moments.uniform(2.0, LONGEST)
        if not cantiere.killed(moment, "up"):
            print(f"kill {number + 1}: up was done before {moment:.1f} s")
            continue
        print(f"kill {number + 1}: after {moment:.1f} s, {len(engine.containers())} containers are there")
        cantiere.run("up")
        assert sorted(engine.containers()) == wanted
    assert cantiere.run("plan", "--exit-code").returncode == 0
    cantiere.verified("second-read", "tokens-pool", "metric")
