"""What a server is told at its first start. Pure."""

from __future__ import annotations

import base64
import json


def user_data(name: str, host_key: str, host_public: str, log_in: str) -> str:
    """The cloud-config of a machine, in base64: its name, its SSH host key, and root's log-in key.

    The host key is made here so that it is known before the first contact; cloud-init makes no others.

    Parameters
    ----------
    name:
        Host name.
    host_key, host_public:
        Both halves of the ed25519 host key.
    log_in:
        Public key that may log in.
    """
    config = {
        "hostname": name,
        "preserve_hostname": False,
        "ssh_deletekeys": True,
        "ssh_genkeytypes": [],
        "ssh_keys": {"ed25519_private": host_key, "ed25519_public": host_public + "\n"},
        "disable_root": False,
        "ssh_authorized_keys": [log_in],
    }
    return base64.b64encode(f"#cloud-config\n{json.dumps(config)}\n".encode()).decode()
