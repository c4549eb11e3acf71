from __future__ import annotations

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from cantiere.verify.tokens import claims, forge


def test_a_forged_token_says_the_same_and_is_not_signed_by_the_issuer() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good = jwt.encode({"sub": "alice", "exp": 4_000_000_000}, key, algorithm="RS256", headers={"kid": "k1", "typ": "at+jwt"})
    forged = forge(good)
    assert claims(forged) == claims(good)
    assert jwt.get_unverified_header(forged) == jwt.get_unverified_header(good)
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(forged, key.public_key(), algorithms=["RS256"])
