"""Ways to log in to a cloud, and what is told of credentials that do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.small_cloud import Fault, SmallCloud
from unit.providers.test_openstack import CONTROL, cloud, provider

__all__ = ["cloud"]


def also(folder: Path, name: str, entry: dict[str, Any]) -> None:
    """Write another cloud at the same address into clouds.yaml."""
    file = folder / "clouds.yaml"
    given = json.loads(file.read_text(encoding="utf-8"))
    url = given["clouds"]["small"]["auth"]["auth_url"]
    given["clouds"][name] = {"region_name": "One", **entry, "auth": {"auth_url": url, **entry["auth"]}}
    file.write_text(json.dumps(given), encoding="utf-8")


def test_a_token_of_an_identity_provider(cloud: SmallCloud, tmp_path: Path) -> None:
    """It is changed for one of the cloud's at the federation's address, and that for one of the project."""
    provider_of_tokens = {"identity_provider": "iam", "protocol": "openid", "access_token": "eyJ", "project_name": "lab"}
    also(tmp_path, "federated", {"auth_type": "v3oidcaccesstoken", "auth": {**provider_of_tokens, "project_domain_id": "default"}})
    assert provider(tmp_path, cloud="federated").check([CONTROL]) == []
    logins = [call for call in cloud.asked if call.startswith("POST")]
    assert logins == ["POST /identity/v3/OS-FEDERATION/identity_providers/iam/protocols/openid/auth", "POST /identity/v3/auth/tokens"]


def test_application_credentials_that_are_gone(cloud: SmallCloud, tmp_path: Path) -> None:
    secret = {"application_credential_id": "21dc", "application_credential_secret": "secret"}
    also(tmp_path, "applied", {"auth_type": "v3applicationcredential", "auth": secret})
    assert provider(tmp_path, cloud="applied").check([CONTROL]) == []
    cloud.faults.append(Fault("POST", "/tokens$", 404, "Could not find Application Credential: 21dc."))
    [problem] = provider(tmp_path, cloud="applied").check([CONTROL])
    assert problem.code == "openstack.auth" and "Could not find Application Credential" in problem.message


@pytest.mark.parametrize(("roles", "codes"), [(["reader"], ["openstack.rights"]), (["reader", "member"], [])])
def test_who_may_only_read(cloud: SmallCloud, tmp_path: Path, roles: list[str], codes: list[str]) -> None:
    cloud.roles = roles
    assert [problem.code for problem in provider(tmp_path).check([CONTROL])] == codes


def test_a_region_that_the_cloud_does_not_have(cloud: SmallCloud, tmp_path: Path) -> None:
    [problem] = provider(tmp_path, region="Two").check([CONTROL])
    assert "Two" in problem.message and problem.remedy
    assert problem.code == "openstack.cloud"
