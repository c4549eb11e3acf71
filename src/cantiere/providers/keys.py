"""SSH keys of machines that a provider makes, and of the log-in to them."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_ssh_private_key


def new_key() -> str:
    """A new private key in OpenSSH's format."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def public_key(private: Path | str) -> str:
    """The public half of a private key, as OpenSSH writes it.

    Parameters
    ----------
    private:
        The key's file, or its text.
    """
    text = private.encode() if isinstance(private, str) else private.read_bytes()
    key = load_ssh_private_key(text, password=None)
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
