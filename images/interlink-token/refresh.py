#!/usr/bin/python3
"""Write an access token to a file, and a new one before it ends. The secrets come from files and are shown nowhere."""

import base64
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

SECRETS = Path(os.environ.get("SECRETS_FOLDER", "/run/secrets"))
SHORTEST = 60.0
RETRY = 15.0


def form(refresh_token: str) -> dict[str, str]:
    """What the token endpoint is asked: by a refresh token where there is one, else by the client's own credentials."""
    asked = {"audience": os.environ["IAM_VK_AUD"]}
    if refresh_token:
        return asked | {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return asked | {"grant_type": "client_credentials"}


def ask(fields: dict[str, str]) -> dict[str, object]:
    """The token endpoint's answer."""
    client, secret = os.environ["IAM_CLIENT_ID"], (SECRETS / "client-secret").read_text().strip()
    pair = f"{urllib.parse.quote(client, '')}:{urllib.parse.quote(secret, '')}"
    headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    request = urllib.request.Request(os.environ["IAM_TOKEN_ENDPOINT"], urllib.parse.urlencode(fields).encode(), headers)
    authority = SECRETS / "ca.crt"
    trust = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
    if authority.is_file():
        trust.load_verify_locations(authority)
    with urllib.request.urlopen(request, timeout=30, context=trust) as answer:
        found: dict[str, object] = json.loads(answer.read())
        return found


def write(path: Path, text: str) -> None:
    """Replace a file at once, readable by this account's group alone."""
    beside = path.with_name(f".{path.name}.new")
    beside.touch(mode=0o640)
    beside.write_text(text)
    beside.replace(path)


def turn(target: Path) -> float:
    """One token; returns the seconds until the next one is wanted."""
    kept = target.with_name(f"{target.name}-refresh")
    given = SECRETS / "refresh-token"
    known = kept.read_text() if kept.is_file() else given.read_text().strip() if given.is_file() else ""
    answer = ask(form(known))
    if answer.get("refresh_token"):
        write(kept, str(answer["refresh_token"]))
    write(target, str(answer["access_token"]))
    return max(SHORTEST, float(str(answer.get("expires_in", 3600))) * 0.6)


def main() -> None:
    """Go on for ever; what fails is told without anything secret, and tried again."""
    target = Path(os.environ.get("TOKEN_PATH", "/opt/interlink/token"))
    while True:
        try:
            wait = turn(target)
            print(f"a new token; the next one in {wait:.0f} s", flush=True)
        except urllib.error.HTTPError as error:
            wait = RETRY
            print(f"no token: the endpoint answers {error.code}", file=sys.stderr, flush=True)
        except (OSError, ValueError, KeyError) as error:
            wait = RETRY
            print(f"no token: {type(error).__name__}", file=sys.stderr, flush=True)
        time.sleep(wait)


if __name__ == "__main__":
    main()
