"""Trust the facility's CA without being root: the certificate comes in ``CANTIERE_CA``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def trust() -> None:
    """Write the bundle that ``SSL_CERT_FILE`` names and the folder that ``X509_CERT_DIR`` names."""
    certificate = os.environ["CANTIERE_CA"]
    bundle, folder = Path(os.environ["SSL_CERT_FILE"]), Path(os.environ["X509_CERT_DIR"])
    for path in (bundle.parent, folder):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    system = SYSTEM_BUNDLE.read_text(encoding="utf-8") if SYSTEM_BUNDLE.is_file() else ""
    bundle.write_text(f"{system}\n{certificate}", encoding="utf-8")
    (folder / "facility.pem").write_text(certificate, encoding="utf-8")
    subprocess.run(["openssl", "rehash", str(folder)], check=True)
