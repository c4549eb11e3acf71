"""Keep the token file fresh for as long as the notebook server lives."""

from __future__ import annotations

import subprocess
import sys
import time

from cantiere_notebook import tokens

SHORTEST, LONGEST = 2.0, 300.0
"""Seconds between two questions to the hub."""

RENEWAL_TIMEOUT = 60.0


def pause(remaining: float) -> float:
    """Seconds to wait before the hub is asked again: half of what the token has left.

    The hub gives out a new token once less than a third of the old one's lifetime is left.
    """
    return min(max(remaining / 2, SHORTEST), LONGEST)


def hand_over() -> None:
    """Renew the credential that running jobs are served from, where there is one.

    In a process of its own: what HTCondor's library does must not end the keeper, nor use memory all the time.

    Raises
    ------
    subprocess.SubprocessError
        The access point does not take it.
    """
    done = subprocess.run([sys.executable, "-m", "cantiere_notebook.credential"], timeout=RENEWAL_TIMEOUT, capture_output=True, text=True)
    if done.returncode:
        raise subprocess.SubprocessError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}")


def main() -> None:
    """Run until stopped; a failure is told once and tried again."""
    said, owed, wait = "", False, pause(0)
    while True:
        time.sleep(wait)
        try:
            new = tokens.ask()
            owed = tokens.keep(new) or owed
            if owed:
                hand_over()
            said, owed, wait = "", False, pause(new.remaining)
        except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            if str(error) != said:
                said = str(error)
                print(f"token keeper: {said}; trying again", file=sys.stderr, flush=True)
            wait = min(wait * 2, LONGEST / 10)


if __name__ == "__main__":
    main()
