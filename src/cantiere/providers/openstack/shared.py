"""A look at the cloud that threads share: those that ask at the same time get one answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from cantiere.errors import CantiereError

Answer = TypeVar("Answer")


class Shared(Generic[Answer]):
    """Keeps what the last look saw.

    Parameters
    ----------
    look:
        Asks the cloud.
    """

    def __init__(self, look: Callable[[], Answer]) -> None:
        self._look, self._looking = look, threading.Lock()
        self.took = 0.0
        """Seconds that the last look took."""
        self._begun, self._seen = float("-inf"), CantiereError([])  # type: float, Answer | CantiereError

    def get(self, since: float) -> Answer:
        """What a look saw that began at that moment or later; the cloud is asked only where there is no such look.

        A look that fails fails for all that wait for it; who asks later asks the cloud again.

        Parameters
        ----------
        since:
            Moment of the monotonic clock.

        Raises
        ------
        CantiereError
            The cloud cannot be asked.
        """
        asked = time.monotonic()
        with self._looking:
            if self._begun < (asked if isinstance(self._seen, CantiereError) else since):
                begun = time.monotonic()
                try:
                    self._seen = self._look()
                except CantiereError as error:
                    self._seen = error
                self._begun, self.took = begun, time.monotonic() - begun
            if isinstance(self._seen, CantiereError):
                raise self._seen
            return self._seen
