"""HTCondor IDTOKENS: the tokens by which the daemons of a pool know each other.

Source: HTCondor manual, "Token Authentication"; the key derivation is that of ``condor_token_create``.
"""

from __future__ import annotations

import secrets
import time

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SCRAMBLE = b"\xde\xad\xbe\xef"


def signing_key(content: bytes) -> bytes:
    """The key with which tokens are signed.

    Parameters
    ----------
    content:
        Content of the signing key's file in SEC_PASSWORD_DIRECTORY; HTCondor unscrambles it when it reads it.
    """
    material = bytes(byte ^ SCRAMBLE[place % 4] for place, byte in enumerate(content))
    return HKDF(algorithm=SHA256(), length=32, salt=b"htcondor", info=b"master jwt").derive(material)


def mint(content: bytes, kid: str, issuer: str, identity: str, scope: str) -> str:
    """A token without end of validity.

    Parameters
    ----------
    content:
        Content of the signing key's file.
    kid:
        Name of that file.
    issuer:
        The pool's TRUST_DOMAIN.
    identity:
        Who the token is for, ``user@domain``.
    scope:
        Authorizations, blank separated (``condor:/READ``); empty gives all that the identity may do.
    """
    claims: dict[str, str | int] = {"iss": issuer, "sub": identity, "iat": int(time.time()), "jti": secrets.token_hex(16)}
    if scope:
        claims["scope"] = scope
    return jwt.encode(claims, signing_key(content), "HS256", headers={"kid": kid, "typ": None})
