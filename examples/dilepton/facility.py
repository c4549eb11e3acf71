"""The doors of the facility for an analysis: its token, its data, its object store. Used by the notebook and by the jobs."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import boto3
import uproot
from botocore import UNSIGNED
from botocore.config import Config

TIMEOUT = 120
"""Seconds until a read or a request that gets no answer fails."""


def token() -> str:
    """The bearer token of whoever runs this; read each time, since it is renewed."""
    return Path(os.environ["BEARER_TOKEN_FILE"]).read_text().strip()


def claims() -> dict[str, Any]:
    """What the token says about its bearer. Not verified here: that is the services' task."""
    payload = token().split(".")[1]
    content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return content


def data_url(path: str) -> str:
    """URL of a file of the facility's storage, as the site cache serves it (``samples/ttbar.root``)."""
    return f"{os.environ['CANTIERE_SITE_CACHE']}//store/{path}"


def source_options() -> dict[str, Any]:
    """Options with which uproot reads by the XRootD protocol; the token is taken from BEARER_TOKEN_FILE."""
    return {"handler": uproot.source.xrootd.XRootDSource, "use_threads": False, "timeout": TIMEOUT}


def object_store() -> Any:
    """A client of the S3 store with temporary keys, given for the token."""
    endpoint = os.environ["S3_ENDPOINT"]
    sts = boto3.client("sts", endpoint_url=endpoint, region_name="us-east-1", config=Config(signature_version=UNSIGNED))
    keys = sts.assume_role_with_web_identity(RoleArn=os.environ["S3_ROLE_ARN"], RoleSessionName="analysis", WebIdentityToken=token())[
        "Credentials"
    ]
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def bucket() -> str:
    """Name of the bucket for results."""
    return os.environ["S3_BUCKET"]


def key(name: str) -> str:
    """Where a result of this user is kept in the bucket."""
    return f"{claims()['sub']}/dilepton/{name}"
