"""Two owners of one object, and default classes."""

from __future__ import annotations

import pytest

from cantiere.values.checks import ChartFiles
from cantiere.values.model import StorageClass
from support.charts import upstream
from support.releases import full, problems, real, release

NFD = "CustomResourceDefinition/nodefeatures.nfd.k8s-sigs.io"
DEFAULT = "StorageClass/default"


@pytest.mark.parametrize(
    ("obj", "chart", "other", "place", "remedy"),
    [
        (NFD, "gpu-operator", "node-feature-discovery", "values.nfd.enabled", "nfd.enabled=false"),
        (
            "CustomResourceDefinition/probes.monitoring.coreos.com",
            "kube-prometheus-stack",
            "x",
            "values.crds.enabled",
            "crds.enabled=false",
        ),
        ("CustomResourceDefinition/middlewares.traefik.io", "reana", "traefik", "values.traefik.enabled", "traefik.enabled=false"),
        ("CustomResourceDefinition/gateways.gateway.networking.k8s.io", "traefik", "x", "owns", "crds='skip'"),
        ("APIService/v1beta1.external.metrics.k8s.io", "prometheus-adapter", "keda", "values.rules.external", "rules.external=[]"),
        ("APIService/v1beta1.metrics.k8s.io", "prometheus-adapter", "metrics-server", "values.rules.resource", "rules.resource={}"),
        ("CSIDriver/cvmfs.csi.cern.ch", "swan", "cvmfs-csi", "values.cvmfs.deployCsiDriver", "deployCsiDriver=false"),
    ],
)
def test_two_owners(obj: str, chart: str, other: str, place: str, remedy: str) -> None:
    (found,) = full(release("one", chart, owns=(obj,)), release("two", other, owns=(obj,)))
    assert (found.code, found.path) == ("owner.two", f"one.{place}")
    assert remedy in found.remedy and obj in found.message


def test_one_owner_each_is_fine() -> None:
    assert problems(release(owns=(NFD,)), release("two", owns=("CSIDriver/x",))) == []
    assert problems(release(owns=(NFD,)), release("two", owns=(NFD,), installed=False)) == []


def test_objects_of_the_same_two_are_one_problem() -> None:
    objects = tuple(f"CustomResourceDefinition/{name}.traefik.io" for name in "abcde")
    (found,) = full(release("one", "reana", owns=objects), release("two", "traefik", owns=objects))
    assert "and 2 more" in found.message


def test_manifests_and_chart_folders_count() -> None:
    manifest = {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": "x"}}
    assert problems(release(), release("two", owns=("CSIDriver/x",)), one=[manifest]) == ["owner.two two.owns"]
    chart = ChartFiles("chart", crds=("a.test",))
    pair = (release(), release("two", "other", owns=("CustomResourceDefinition/a.test",)))
    assert problems(*pair, charts=(chart,)) == ["owner.two two.owns"]
    assert problems(release(crds="skip"), pair[1], charts=(chart,)) == []


def test_dask_gateway_brings_traefiks_definitions() -> None:
    chart = upstream("dask-gateway")
    traefik = release("two", "traefik", owns=("CustomResourceDefinition/middlewares.traefik.io",))
    assert problems(release("one", "dask-gateway"), traefik, charts=(chart,)) == ["owner.two two.owns"]
    assert problems(release("one", "dask-gateway", crds="skip"), traefik, charts=(chart,)) == []


def test_the_cluster_has_it_already() -> None:
    manual = real(owners={NFD: ""})
    assert problems(release("one", "gpu-operator", owns=(NFD,)), cluster=manual) == ["owner.two one.values.nfd.enabled"]
    ours = real(owners={NFD: "facility/one"})
    assert problems(release("one", "gpu-operator", owns=(NFD,)), cluster=ours) == []
    theirs = real(owners={NFD: "gpu/nfd"})
    assert problems(release("one", "gpu-operator", owns=(NFD,)), cluster=theirs) == ["owner.two one.values.nfd.enabled"]


def test_one_default_class() -> None:
    pair = (release("one", "longhorn", owns=(DEFAULT,)), release("two", "local-path-provisioner", owns=(DEFAULT,)))
    (found,) = full(*pair)
    assert (
        found.code == "owner.default" and "storageClass.defaultClass=false" in found.remedy and "persistence.defaultClass" in found.remedy
    )
    assert problems(pair[0]) == []


def test_the_cluster_has_a_default_class_already() -> None:
    longhorn = release("one", "longhorn", owns=(DEFAULT,))
    assert problems(longhorn, cluster=real(owners={DEFAULT: ""})) == ["owner.default one.values.persistence.defaultClass"]
    assert problems(longhorn, cluster=real(owners={DEFAULT: "facility/one"})) == []
    assert problems(longhorn) == [], "the class of the placeholders is nobody's"


def test_what_a_release_owns_that_leaves_becomes_free() -> None:
    owned = real(owners={DEFAULT: "facility/two"})
    pair = (release("one", "longhorn", owns=(DEFAULT,)), release("two", "local-path-provisioner", owns=(DEFAULT,), installed=False))
    assert problems(*pair, cluster=owned) == []
    assert problems(pair[0], cluster=owned) == ["owner.default one.values.persistence.defaultClass"]


def test_ingress_classes_that_say_default() -> None:
    mark = {"ingressclass.kubernetes.io/is-default-class": "true"}
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass"}
    first, second = ({**kind, "metadata": {"name": name, "annotations": mark}} for name in ("a", "b"))
    assert problems(release("one", "traefik"), release("two", "ingress-nginx"), one=[first], two=[second]) == [
        "owner.default one.values.ingressClass.isDefaultClass"
    ]


def test_a_claim_without_a_class_needs_a_default_one() -> None:
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {}}
    served = frozenset({"v1/PersistentVolumeClaim"})
    assert problems(release(), cluster=real(api_versions=served), one=[claim]) == [
        "storage.no-default one.manifests.PersistentVolumeClaim/data"
    ]
    named = claim | {"spec": {"storageClassName": "fast"}}
    assert problems(release(), cluster=real(api_versions=served), one=[named]) == []
    assert problems(release(owns=(DEFAULT,)), cluster=real(api_versions=served), one=[claim]) == []
    there = {"standard": StorageClass("standard", "x", default=True)}
    assert problems(release(), cluster=real(api_versions=served, storage_classes=there), one=[claim]) == []
