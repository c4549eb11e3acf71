"""Write what a site's store would hold for a registry: an authority, a certificate for an address, and a password."""

import secrets
import sys
from pathlib import Path

from cantiere.pki import authority, certificate

folder, address = Path(sys.argv[1]), sys.argv[2]
ca, ca_key = authority("images of a scenario")
host, host_key = certificate(ca, ca_key, address, [address, "registry"])
for name, text in (("ca.pem", ca), ("certificate.pem", host), ("key.pem", host_key), ("password", secrets.token_urlsafe(24))):
    (folder / name).write_text(text, encoding="utf-8")
    (folder / name).chmod(0o600)
