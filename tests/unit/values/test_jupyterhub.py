"""Values of the jupyterhub chart: under its schema, without secrets, and with the ways that the template declares and no others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cantiere.machines.model import PREEMPTIBLE
from cantiere.model import Facility
from cantiere.services import iam
from cantiere.services.facts import Facts
from cantiere.tosca.compile import load
from cantiere.values import cvmfs, dask, jupyterhub, notebooks
from cantiere.values import htcondor as pools
from cantiere.values.model import PLACEHOLDER, ClusterFacts, Context, NodePool, Release
from support.charts import own, upstream
from support.tree import REPOSITORY

GIB = 1 << 30
STANDIN = REPOSITORY / "tests" / "charts" / "jupyterhub"
TAGS = {"jupyterhub": "hub-tag", "analysis": "analysis-tag", "base": "base-tag"}
GPU_POOL = NodePool(
    "gpu", 1, 32.0, 256 * GIB, {notebooks.POOL: "gpu"}, ("dedicated=gpu:NoSchedule",), {"nvidia.com/gpu": 4, "nvidia.com/mig-1g.10gb": 2}
)
LARGE: dict[str, Any] = {
    "images": [{"title": "A", "image": "analysis"}, {"title": "B", "image": f"registry.test/b@sha256:{'a' * 64}"}],
    "profiles": [{"title": "Big", "cpus": 16, "memory": 96 * GIB, "gpus": 2, "groups": ["/cms"]}],
    "software_stacks": [{"title": "LCG", "script": "/cvmfs/lcg/setup.sh"}],
    "shared_folder": "/shared",
    "max_gpus": 2,
    "pack": True,
    "allowed_networks": ["10.20.0.0/16"],
}


def context(cluster: ClusterFacts = PLACEHOLDER, zone: str = "", inputs: Mapping[str, Any] | None = None, **properties: Any) -> Context:
    """The facility's template on a cluster, its hub with other properties."""
    facility = load(REPOSITORY / "tosca/templates/facility.yaml", dict(inputs or {})).facility
    nodes = tuple(replace(node, properties={**node.properties, **properties}) if node.name == "hub" else node for node in facility.nodes)
    facility = Facility(facility.name, facility.description, nodes, facility.outputs)
    facts = Facts(facility, f"facility.svc.{cluster.cluster_domain}", {}, "", "", "", {}, zone=zone)
    return Context(facility, cluster, facts, "facility", TAGS)


def releases(given: Context) -> tuple[Release, Release]:
    extras, hub = jupyterhub.releases(given.facility.node("hub"), given)
    return extras, hub


def without(given: Context, *requirements: str) -> Context:
    """The same, where the hub requires less."""
    hub = given.facility.node("hub")
    bare = replace(hub, requirements={name: names for name, names in hub.requirements.items() if name not in requirements})
    nodes = tuple(bare if node.name == "hub" else node for node in given.facility.nodes)
    facility = replace(given.facility, nodes=nodes)
    return replace(given, facility=facility, services=replace(given.services, facility=facility))


def with_pools(*pools: NodePool) -> ClusterFacts:
    return replace(PLACEHOLDER, pools={pool.name: pool for pool in pools})


CASES = {
    "small": context(),
    "ingress": context(zone="facility.invalid"),
    "own CA": context(replace(PLACEHOLDER, issuer=""), zone="facility.invalid"),
    "gateway": context(replace(PLACEHOLDER, gateway="traefik/facility"), zone="facility.invalid"),
    "large": context(with_pools(*PLACEHOLDER.pools.values(), GPU_POOL), inputs={"cvmfs": "true"}, **LARGE),
}


@pytest.mark.parametrize("case", CASES)
def test_values_keep_to_the_chart_s_schema(case: str) -> None:
    extras, hub = releases(CASES[case])
    for release, chart in ((hub, upstream("jupyterhub")), (extras, own("hub-extras"))):
        assert chart and chart.schema
        wrong = [
            f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
            for error in jsonschema.Draft7Validator(chart.schema).iter_errors(json.loads(json.dumps(release.values)))
        ]
        assert wrong == []


def leaves(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    else:
        yield path


def read_by_the_stand_in() -> set[str]:
    texts = [path.read_text(encoding="utf-8") for path in [*STANDIN.glob("templates/*"), *STANDIN.glob("files/*.py")]]
    in_templates = {found for text in texts for found in re.findall(r"\.Values\.([A-Za-z0-9.]+)", text)}
    in_python = {found for text in texts for found in re.findall(r"value\(['\"]([A-Za-z0-9.]+)['\"]", text)}
    return in_templates | in_python


def covered(path: str, known: set[str]) -> bool:
    parts = path.split(".")
    return any(".".join(parts[: number + 1]) in known for number in range(len(parts)))


def test_the_stand_in_reads_every_value_or_says_why_not() -> None:
    ignored = set(yaml.safe_load((STANDIN / "ignored.yaml").read_text(encoding="utf-8")))
    known = read_by_the_stand_in()
    whole = {path for path in known if "." not in path and isinstance(releases(CASES["small"])[1].values.get(path), Mapping)}
    assert whole == set(), f"read as a whole, so that nobody knows which of their values are: {whole}"
    emitted = {path for given in CASES.values() for path in leaves(releases(given)[1].values)}
    assert {path for path in emitted if not covered(path, known | ignored)} == set()
    assert {path for path in ignored if not any(item == path or item.startswith(f"{path}.") for item in emitted)} == set()
    assert {path for path in ignored if path in known} == set()


def test_nothing_secret_and_no_program_but_the_constant_is_in_the_values() -> None:
    for given in CASES.values():
        extras, hub = releases(given)
        text = json.dumps([extras.values, hub.values])
        assert hub.values["hub"]["extraConfig"] == {"facility": jupyterhub.LOAD}
        assert "{{" not in text and "{%" not in text
        files = {secret.name: {file.file for file in secret.files} for secret in hub.secrets}
        assert files["hub"] == {"ca.pem", "client-secret", "crypt-key"}
        assert hub.values["hub"]["existingSecret"] == "hub"
    assert not releases(CASES["small"])[1].values["proxy"]["https"]["secret"].keys() - {"name", "key", "crt"}


@pytest.mark.parametrize("case", CASES)
def test_the_issuer_knows_the_callback(case: str) -> None:
    given = CASES[case]
    callback = releases(given)[1].values["hub"]["config"]["OAuthenticator"]["oauth_callback_url"]
    told = {client["id"]: client["redirect_uris"] for client in iam.clients(given.facility.node("iam"), given.services)}
    assert told["hub"] == [callback]
    assert callback.startswith("https://hub.facility.invalid/" if given.services.zone else "https://hub.facility.svc.cluster.local:8000/")


def test_without_a_zone_the_proxy_serves_https_at_the_hub_s_own_name() -> None:
    extras, hub = releases(CASES["small"])
    assert extras.installed and extras.name in hub.needs
    assert extras.values["address"] | {"selector": {}} == {
        "enabled": True,
        "name": "hub",
        "port": 8000,
        "targetPort": "https",
        "selector": {},
    }
    selector = extras.values["address"]["selector"]
    assert selector.items() <= notebooks.component(CASES["small"].facility.node("hub"), "proxy").items()
    (tls,) = [secret for secret in hub.secrets if secret.type == "kubernetes.io/tls"]
    assert tls.name == hub.values["proxy"]["https"]["secret"]["name"]
    assert tls.files[0].secret.parameters["common_name"] == "hub.facility.svc.cluster.local"


def test_with_a_zone_the_way_in_serves_https() -> None:
    extras, hub = releases(CASES["ingress"])
    assert not extras.installed
    assert hub.values["ingress"]["annotations"] == {"cert-manager.io/cluster-issuer": "facility"}
    assert hub.values["proxy"]["https"] == {"enabled": False}
    assert not [secret for secret in hub.secrets if secret.type == "kubernetes.io/tls"]
    _, signed = releases(CASES["own CA"])
    names = {secret.name: secret.files[0].secret.parameters for secret in signed.secrets if secret.type == "kubernetes.io/tls"}
    assert names[signed.values["ingress"]["tls"][0]["secretName"]]["names"] == "hub.facility.invalid"
    assert releases(CASES["gateway"])[1].values["httpRoute"]["gateway"] == {"name": "facility", "namespace": "traefik"}


def targets(policy: Mapping[str, Any]) -> set[tuple[str, int]]:
    """Who is reached, by the last of his labels or his network, and at which port."""
    return {
        (list(end["podSelector"]["matchLabels"].values())[-1] if "podSelector" in end else end["ipBlock"]["cidr"], port["port"])
        for rule in policy["egress"]
        for end in rule["to"]
        for port in rule.get("ports", [{"port": 0}])
    }


def test_notebooks_reach_what_the_hub_requires_and_nothing_else() -> None:
    policy = releases(CASES["small"])[1].values["singleuser"]["networkPolicy"]
    services = {("pool", 9618), ("site-cache", 1094), ("site-cache", 8443), ("store", 9000), ("iam", 8443)}
    assert targets(policy) == services | {("execute-point", 8800)}
    rules = policy["egressAllowRules"]
    assert {name for name, allowed in rules.items() if allowed} == {"dnsPortsKubeSystemNamespace", "nonPrivateIPs"}
    bare = without(CASES["small"], "queue", "cache", "store")
    assert targets(releases(bare)[1].values["singleuser"]["networkPolicy"]) == {("iam", 8443)}
    closed = releases(context(internet=False, allowed_networks=["10.20.0.0/16"]))[1].values["singleuser"]["networkPolicy"]
    assert not closed["egressAllowRules"]["nonPrivateIPs"]
    assert ("10.20.0.0/16", 0) in targets(closed)


def test_jobs_of_the_pool_reach_the_dask_scheduler_of_a_notebook() -> None:
    (rule,) = releases(CASES["small"])[1].values["singleuser"]["networkPolicy"]["ingress"]
    (peer,) = rule["from"]
    assert peer["podSelector"]["matchLabels"] == pools.pod_labels("pool", "execute-point")
    assert [port["port"] for port in rule["ports"]] == [8786]
    assert releases(without(CASES["small"], "queue"))[1].values["singleuser"]["networkPolicy"]["ingress"] == []


def test_every_declared_link_has_its_rule() -> None:
    for given in CASES.values():
        _, hub = releases(given)
        notebook = notebooks.pod_labels(given.facility.node("hub"), given)
        rules = hub.values["singleuser"]["networkPolicy"]["egress"]
        open_ways = {
            (tuple(sorted(end["podSelector"].get("matchLabels", {}).items())), port["port"])
            for rule in rules
            for end in rule["to"]
            if "podSelector" in end
            for port in rule["ports"]
        }
        declared = {(tuple(sorted(link.target.items())), link.port) for link in hub.links if link.source == notebook and link.port != 8081}
        assert declared and declared <= open_ways


def test_the_hub_reaches_the_issuer_and_the_api_alone() -> None:
    policy = releases(CASES["small"])[1].values["hub"]["networkPolicy"]
    assert targets(policy) == {("iam", 8443), ("0.0.0.0/0", 443), ("0.0.0.0/0", 6443)}
    assert policy["egress"][-1]["to"][0]["ipBlock"]["except"] == [PLACEHOLDER.pod_subnet]
    assert not policy["egressAllowRules"]["nonPrivateIPs"]
    outside = context(inputs={"iam_issuer": "https://iam.example.org", "iam_client_secret": "env:SECRET"})
    assert releases(outside)[1].values["hub"]["networkPolicy"]["egressAllowRules"]["nonPrivateIPs"]


def with_gateway(given: Context) -> Context:
    """The same, with a Dask gateway behind the hub."""
    node = replace(
        given.facility.node("hub"), name="gateway", type=dask.GATEWAY, properties={"enabled": True}, requirements={"hub": ("hub",)}
    )
    facility = replace(given.facility, nodes=(*given.facility.nodes, node))
    return replace(given, facility=facility, services=replace(given.services, facility=facility))


def test_a_dask_gateway_is_known_to_the_hub_and_reached_by_notebooks() -> None:
    given = with_gateway(CASES["small"])
    _, hub = releases(given)
    told = hub.values["hub"]["extraFiles"]["settings"]["data"]
    assert told["environment"]["DASK_GATEWAY__ADDRESS"] == dask.address(given.facility.node("gateway"), given)
    assert told["service_scopes"] == ["access:services!service=dask-gateway"]
    assert ("traefik", dask.PROXY_PORT) in targets(hub.values["singleuser"]["networkPolicy"])
    allowed, scraped = hub.values["hub"]["networkPolicy"]["ingress"]
    assert allowed["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "gateway"
    assert scraped["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "prometheus"
    (key,) = [file for file in hub.secrets[0].files if file.file == f"hub.services.{dask.SERVICE}.apiToken"]
    assert key.secret == dask.token(given.facility.node("gateway")) and dask.SERVICE in hub.values["hub"]["services"]
    assert releases(CASES["small"])[1].values["hub"]["services"] == {}


def profiles(given: Context) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = jupyterhub.settings(given.facility.node("hub"), given)["profiles"]
    return found


def test_a_large_profile_comes_with_machines_for_it() -> None:
    assert profiles(CASES["small"]) == []
    (large,) = profiles(context(with_pools(GPU_POOL)))
    assert (large["title"], large["cpus"], large["memory"], large["gpus"]) == (notebooks.LARGE, 8, 64 * GIB, 1)
    assert large["placement"] == {
        "gpu": "nvidia.com/gpu",
        "node_selector": {notebooks.POOL: "gpu"},
        "tolerations": [
            {"key": "dedicated", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},
            dict(notebooks.GPU_TOLERATION),
        ],
    }
    assert profiles(context(with_pools(replace(GPU_POOL, memory=63 * GIB)))) == []
    assert [item["title"] for item in profiles(CASES["large"])] == ["Big"]


def test_gpus_of_a_named_resource_and_gpus_that_are_not_there() -> None:
    sliced = context(with_pools(GPU_POOL), gpu_resource="nvidia.com/mig-1g.10gb")
    assert notebooks.placement(sliced.facility.node("hub"), sliced, gpus=2)["gpu"] == "nvidia.com/mig-1g.10gb"
    missing = CASES["small"]
    waits = notebooks.placement(missing.facility.node("hub"), missing, gpus=1)
    assert waits == {"gpu": "nvidia.com/gpu", "node_selector": {}, "tolerations": [dict(notebooks.GPU_TOLERATION)]}


def test_a_size_that_only_a_tainted_pool_has_is_let_in_there() -> None:
    given = context(with_pools(*PLACEHOLDER.pools.values(), GPU_POOL))
    hub = given.facility.node("hub")
    assert notebooks.placement(hub, given, 4, 16 * GIB) == {"gpu": "", "node_selector": {}, "tolerations": []}
    assert notebooks.placement(hub, given, 4, 128 * GIB)["tolerations"][0]["key"] == "dedicated"


def test_notebooks_are_not_placed_on_machines_that_may_vanish() -> None:
    spot = replace(GPU_POOL, labels={**GPU_POOL.labels, PREEMPTIBLE: "true"})
    assert profiles(context(with_pools(*PLACEHOLDER.pools.values(), spot))) == []


def test_volumes() -> None:
    _, small = releases(CASES["small"])
    assert "extraVolumes" not in small.values["singleuser"]["storage"]
    assert (
        small.values["hub"]["db"]["pvc"]["storageClassName"]
        == small.values["singleuser"]["storage"]["dynamic"]["storageClass"]
        == "standard"
    )
    extras, hub = releases(CASES["large"])
    storage = hub.values["singleuser"]["storage"]
    assert storage["extraVolumes"]["shared"]["persistentVolumeClaim"]["claimName"] == extras.values["shared"]["claim"]
    assert extras.values["shared"]["storageClassName"] == "shared"
    assert storage["extraVolumeMounts"]["cvmfs"]["mountPropagation"] == "HostToContainer"
    assert storage["extraVolumes"]["cvmfs"]["persistentVolumeClaim"]["claimName"] == cvmfs.HUB_CLAIM
    assert "software" in hub.needs and "software" not in small.needs


def test_images_are_ours_or_pinned_in_full() -> None:
    _, hub = releases(CASES["large"])
    assert hub.values["singleuser"]["image"] == {"name": "registry.invalid/cantiere/analysis", "tag": "analysis-tag"}
    second = hub.values["prePuller"]["extraImages"]["image-1"]
    assert f"{second['name']}:{second['tag']}" == f"registry.test/b@sha256:{'a' * 64}"
    assert hub.images == ("jupyterhub", "analysis")


def test_the_stand_in_says_what_it_is() -> None:
    about = yaml.safe_load(Path(STANDIN / "Chart.yaml").read_text(encoding="utf-8"))
    assert about["name"] == jupyterhub.CHART and about["description"].startswith("Stand-in")
