"""oidc-agent, for tokens of other scopes and audiences than the notebook's own: it knows the facility's issuer."""

from __future__ import annotations

import os
from pathlib import Path


def introduce() -> None:
    """Put the issuer that ``CANTIERE_ISSUER`` names first in oidc-agent's list, where ``oidc-gen`` looks; the user's others stay."""
    issuer = os.environ.get("CANTIERE_ISSUER")
    if not issuer:
        return
    folder = Path(os.environ.get("OIDC_CONFIG_DIR") or Path.home() / ".oidc-agent")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    listed = folder / "issuer.config"
    others = [line for line in listed.read_text(encoding="utf-8").splitlines() if line.split()[:1] != [issuer]] if listed.is_file() else []
    listed.write_text("\n".join([issuer, *others]) + "\n", encoding="utf-8")
