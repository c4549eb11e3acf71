"""Extensions of JupyterLab in the image: those that ``CANTIERE_LAB_EXTENSIONS`` lists are on and know their servers, others are off."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PARTS = {
    "rucio": ("rucio_jupyterlab.server", "rucio-jupyterlab"),
    "reana": ("reana_jupyterlab.server", "reana_jupyterlab"),
    "zenodo": ("zenodo_jupyterlab", "zenodo_jupyterlab"),
}
"""Extension to its part in the server and its part in the browser."""
INSTANCE = "name display_name rucio_base_url rucio_auth_url rucio_webui_url rucio_ca_cert mode oidc_auth oidc_file_name".split()
"""What the Rucio extension is told of a server; the variables are called the same, in capitals and after ``RUCIO_``."""


def settle() -> None:
    """Write what the server reads before it starts, and let it look there. REANA reads the environment by itself."""
    there = {name: parts for name, parts in PARTS.items() if find_spec(parts[0].partition(".")[0])}
    if not there:
        return
    on = set(os.environ.get("CANTIERE_LAB_EXTENSIONS", "").split(","))
    server: dict[str, Any] = {"ServerApp": {"jpserver_extensions": {module: name in on for name, (module, _) in there.items()}}}
    if "rucio" in on:
        server["RucioConfig"] = rucio()
    folder = Path(os.environ["BEARER_TOKEN_FILE"]).parent / "jupyter"
    (folder / "labconfig").mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "jupyter_server_config.json").write_text(json.dumps(server), encoding="utf-8")
    page = {"disabledExtensions": {extension: name not in on for name, (_, extension) in there.items()}}
    (folder / "labconfig" / "page_config.json").write_text(json.dumps(page), encoding="utf-8")
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("JUPYTER_CONFIG_PATH")]))


def rucio() -> dict[str, Any]:
    """The Rucio extension's settings, from the variables that its own image documents."""
    named = {key: os.environ.get(f"RUCIO_{key.removeprefix('rucio_').upper()}") for key in INSTANCE}
    return {
        "instances": [{key: value for key, value in named.items() if value}],
        "default_instance": os.environ.get("RUCIO_DEFAULT_INSTANCE"),
        "default_auth_type": os.environ.get("RUCIO_DEFAULT_AUTH_TYPE"),
    }
