"""The line by which a registry knows a password: bcrypt of the C library, the same line every time. Pure but for that library."""

from __future__ import annotations

import ctypes
import hashlib
from ctypes.util import find_library

from cantiere.errors import CantiereError, Problem

ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
COST = 10


def password_line(user: str, password: str) -> str:
    """The line of an ``htpasswd`` file, bcrypt alone being what registries take.

    The salt comes from the password, which is random and long, so that the file changes only with it.

    Parameters
    ----------
    user, password:
        Who may write, and by what.

    Raises
    ------
    CantiereError
        The C library of this machine has no bcrypt.
    """
    seed = hashlib.sha256(f"registry {user} {password}".encode()).digest()
    salt = "".join(ALPHABET[byte % 64] for byte in seed[:21]) + "."
    found = _crypt(password, f"$2b${COST}${salt}")
    if not found.startswith("$2b$"):
        raise CantiereError(
            Problem(
                "registry.bcrypt",
                "the C library of this machine has no bcrypt, by which registries know passwords",
                "install libxcrypt (libcrypt1), or name a registry of your own in the site's file",
                path="registry",
            )
        )
    return f"{user}:{found}\n"


def _crypt(password: str, setting: str) -> str:
    for name in (find_library("crypt"), "libcrypt.so.1", "libcrypt.so.2"):
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library is not None:
            library.crypt.restype = ctypes.c_char_p
            made: bytes | None = library.crypt(password.encode(), setting.encode())
            return (made or b"").decode()
    return ""
