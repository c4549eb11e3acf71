"""Changes that several callers ask for at the same time, done in one run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")
GATHER = 0.3


@dataclass
class _Ticket(Generic[Item]):
    item: Item
    done: bool = False
    failed: BaseException | None = field(default=None)


class Batch(Generic[Item]):
    """Gathers what callers ask for while another run is under way, or within a moment, and does it together.

    Parameters
    ----------
    work:
        Does all of them, and returns for each what went wrong with it, or None.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[BaseException | None]]) -> None:
        self.work = work
        self._asking, self._running = threading.Lock(), threading.Lock()
        self._waiting: list[_Ticket[Item]] = []

    def ask(self, item: Item) -> None:
        """Have one done, and wait for it; raises what went wrong with it."""
        ticket = _Ticket(item)
        with self._asking:
            self._waiting.append(ticket)
        with self._running:
            if not ticket.done:  # nobody took it along: this caller does all that wait
                time.sleep(GATHER)
                with self._asking:
                    mine, self._waiting = self._waiting, []
                self._do(mine)
        if ticket.failed:
            raise ticket.failed

    def _do(self, tickets: Sequence[_Ticket[Item]]) -> None:
        try:
            results = self.work([ticket.item for ticket in tickets])
        except Exception as error:
            results = [error for _ in tickets]
        for ticket, result in zip(tickets, results, strict=True):
            ticket.failed, ticket.done = result, True
