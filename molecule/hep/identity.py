"""Keys, certificates and tokens of a test: ``identity.py FOLDER DOMAIN HOST...``; what is there already stays.

FOLDER gets the CA (``ca.pem``), per host ``<host>.pem`` and ``<host>.key``, the pool's ``signing-key`` and per host an
``idtoken-<host>``, the issuer's two documents below ``issuer/``, and in ``tokens/`` one good user's token and some that must be refused.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cantiere import idtoken, pki

PORT = 8440
SCOPE = "compute.read compute.create compute.modify compute.cancel storage.read:/"
ANY = "https://wlcg.cern.ch/jwt/v1/any"


def keep(path: Path, text: str) -> str:
    """The text of a file, written where it is not there yet."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        path.write_text(text)
    return path.read_text()


def main(folder: Path, domain: str, hosts: list[str]) -> None:
    """Write everything."""
    if not (folder / "ca.pem").exists():
        certificate, key = pki.authority("cantiere test CA")
        keep(folder / "ca.key", key)
        keep(folder / "ca.pem", certificate)
    authority = (folder / "ca.pem").read_text(), (folder / "ca.key").read_text()
    signing = keep(folder / "signing-key", secrets.token_urlsafe(48))
    for host in [*hosts, "issuer"]:
        full = f"{host}.{domain}"
        if not (folder / f"{host}.pem").exists():
            certificate, key = pki.certificate(*authority, full, [full, host])
            keep(folder / f"{host}.key", key)
            keep(folder / f"{host}.pem", certificate)
        rights = "READ NEGOTIATOR DAEMON ADVERTISE_MASTER ADVERTISE_SCHEDD ADVERTISE_STARTD"
        scope = " ".join(f"condor:/{right}" for right in rights.split())
        keep(folder / f"idtoken-{host}", idtoken.mint(signing.encode(), "signing-key", domain, f"{host}@{domain}", scope))
    issuer = f"https://issuer.{domain}:{PORT}"
    key = keep(folder / "issuer.rsa", pki.rsa_key())
    public: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(load_pem_private_key(key.encode(), None).public_key(), as_dict=True)  # type: ignore[union-attr]
    keep(folder / "issuer/jwks", json.dumps({"keys": [public | {"kid": "test", "use": "sig", "alg": "RS256"}]}))
    about = {"issuer": issuer, "jwks_uri": f"{issuer}/jwks", "token_endpoint": f"{issuer}/token"}
    keep(folder / "issuer/.well-known/openid-configuration", json.dumps(about))
    now = int(time.time())
    good = {"iss": issuer, "sub": "alice", "aud": ANY, "scope": SCOPE, "iat": now, "nbf": now - 60, "exp": now + 86400}
    good |= {"jti": secrets.token_hex(8), "wlcg.ver": "1.0", "wlcg.groups": ["/cms"]}
    stranger = pki.rsa_key()
    for name, changed, signer in (
        ("good", {}, key),
        ("expired", {"exp": now - 300, "nbf": now - 600}, key),
        ("other-audience", {"aud": "https://elsewhere.example.org"}, key),
        ("other-group", {"wlcg.groups": ["/atlas"]}, key),
        ("other-key", {}, stranger),
        ("other-path", {"scope": "storage.read:/elsewhere"}, key),
    ):
        keep(folder / "tokens" / name, jwt.encode(good | changed, signer, "RS256", headers={"kid": "test"}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
