"""CVMFS and the web proxy on a cluster: the facility's own repository, cvmfs-csi with the site's proxies, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cantiere.machines.model import POOL, PREEMPTIBLE
from cantiere.values import cvmfs, squid
from cantiere.values.model import Context, Release
from support.further import context, nodes

PROXY = {"type": squid.TYPE, "properties": {"disk": "10 GiB", "probe": ["http://stratum.example/cvmfs/x/.cvmfspublished"]}}


def compiled(tmp_path: Path, proxy: bool = True, **properties: Any) -> tuple[Context, dict[str, Release]]:
    """Repositories, behind a proxy or without one."""
    software = {
        "type": cvmfs.TYPE,
        "properties": {"enabled": True} | properties,
        "requirements": [{"proxy": "web-proxy"}] if proxy else [],
    }
    where = context(*nodes(tmp_path, {"software": software, **({"web-proxy": PROXY} if proxy else {})}))
    return where, {release.name: release for release in cvmfs.releases(where.facility.node("software"), where)}


def codes(where: Context) -> set[str]:
    return {found.code for found in cvmfs.check(where.facility.node("software"), where.facility)}


def test_own_repository_is_served_here_and_mounted_where_that_is_allowed(tmp_path: Path) -> None:
    _, found = compiled(tmp_path)
    server, client = found["software"], found["software-client"]
    assert (server.namespace, server.pod_security) == ("facility", "baseline")
    assert (client.namespace, client.pod_security, client.needs) == (cvmfs.DRIVER_NAMESPACE, "privileged", ("software",))
    assert server.values["settings"] == client.values["settings"]
    assert server.values["settings"]["url"].startswith("http://software.facility.svc.cluster.local:8000/cvmfs/")
    assert client.values["host"] == server.values["host"], "claims lead where the client mounts"
    assert {claim["name"] for claim in server.values["claims"]} == {"software", "cvmfs"}
    (link,) = client.links
    assert (link.source_namespace, link.target_namespace, link.port) == (client.namespace, server.namespace, 8000)


def test_software_is_mounted_where_jobs_may_run(tmp_path: Path) -> None:
    spot = {"type": POOL, "properties": {"count": 1, "preemptible": True}}
    software = {"type": cvmfs.TYPE, "properties": {"enabled": True}}
    for driver, release, part in (("own", "software-client", None), ("csi", "cvmfs-csi", "nodeplugin")):
        software["properties"] = {"enabled": True, "driver": driver}
        where = context(*nodes(tmp_path, {"software": software, "spot": spot}))
        values = {found.name: found for found in cvmfs.releases(where.facility.node("software"), where)}[release].values
        assert PREEMPTIBLE in [item["key"] for item in (values[part] if part else values)["tolerations"]]


def test_the_proxy_of_cvmfs_csi_is_the_site_s(tmp_path: Path) -> None:
    _, found = compiled(tmp_path, driver="csi", repositories=["atlas.cern.ch"], proxies=["http://backup.example:3128"])
    driver = found["cvmfs-csi"]
    text = driver.values["extraConfigMaps"]["cvmfs-csi-default-local"]["default.local"]
    assert 'CVMFS_HTTP_PROXY="http://web-proxy.facility.svc.cluster.local:3128;http://backup.example:3128"' in text.splitlines()
    assert "ca-proxy.cern.ch" not in text
    assert driver.values["cache"]["local"]["cvmfsQuotaLimit"] == 4096
    assert (driver.owns, driver.pod_security, driver.needs) == (("CSIDriver/cvmfs.csi.cern.ch",), "privileged", ("web-proxy",))


def test_repositories_get_claims_after_proxies_were_probed(tmp_path: Path) -> None:
    where, found = compiled(tmp_path, driver="csi", repositories=["atlas.cern.ch"])
    volumes = found["software"]
    assert volumes.needs == ("cvmfs-csi",)
    assert {"name": "cvmfs-atlas-cern-ch", "repository": "atlas.cern.ch"} in volumes.values["claims"]
    assert volumes.owns == ("StorageClass/software", "StorageClass/software-atlas-cern-ch")
    probe = volumes.values["proxyProbe"]
    assert probe["proxies"] == ["http://web-proxy.facility.svc.cluster.local:3128"] and probe["urls"]
    assert probe["image"] == where.image_reference("base")


def test_no_proxy_is_refused_where_one_is_needed(tmp_path: Path) -> None:
    assert codes(compiled(tmp_path, proxy=False, driver="csi")[0]) == {"cvmfs.proxy"}
    assert codes(compiled(tmp_path, proxy=False, driver="csi", proxies=["http://proxy.example:3128"])[0]) == set()
    assert codes(compiled(tmp_path, proxy=False)[0]) == set()
    assert codes(compiled(tmp_path, proxy=False, driver="csi", enabled=False)[0]) == set()
    assert codes(compiled(tmp_path, repositories=["atlas.cern.ch"])[0]) == {"cvmfs.repositories"}


def test_what_is_not_enabled_is_turned_off(tmp_path: Path) -> None:
    for driver in ("own", "csi", "node"):
        _, found = compiled(tmp_path, driver=driver, enabled=False)
        assert found and not any(release.installed for release in found.values())


def test_the_proxy_s_volume_and_memory_hold_its_cache(tmp_path: Path) -> None:
    where, _ = compiled(tmp_path)
    (release,) = squid.releases(where.facility.node("web-proxy"), where)
    values = release.values
    assert int(values["storage"]["size"]) * 0.9 >= values["settings"]["disk"] == 10 << 30
    assert int(values["resources"]["limits"]["memory"]) > values["settings"]["memory"] + (10 << 30) // 64
    assert where.cluster.pod_subnet in values["settings"]["networks"]
    assert values["probe"] == PROXY["properties"]["probe"]  # type: ignore[index]
    assert release.pod_security == "restricted"


def test_a_proxy_that_would_refuse_everything_is_refused(tmp_path: Path) -> None:
    found = nodes(tmp_path, {"web-proxy": {"type": squid.TYPE, "properties": {"destinations": []}}})
    where = context(*found)
    assert [problem.code for problem in squid.check(where.facility.node("web-proxy"), where.facility)] == ["squid.destinations"]
