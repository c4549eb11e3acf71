"""GPUs: NVIDIA's operator, or the device plugin alone where the machines bring driver and runtime; never both. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node
from cantiere.values.addons import OPERATOR_CRDS, POOL, active, broken, definitions, enabled, has_operator, resources, several
from cantiere.values.model import Context, Release

TYPE = "cantiere.nodes.GPUs"
NAMESPACE = "gpu"
RESOURCE = "nvidia.com/gpu"
RUNTIME = "gpu-runtime"
MIG_OFF = "all-disabled"
MIG_LABEL = "nvidia.com/mig.config"
_AREA = "gpu"
_CONFIG = "sharing"
_OPERATOR_KINDS = "clusterpolicies gpuclusters nvidiadrivers".split()
_DRA_KINDS = "computedomaincliques computedomains".split()
_NFD = definitions("nfd.k8s-sigs.io", ("nodefeaturegroups", "nodefeaturerules", "nodefeatures"))


def runtime_class(facility: Facility) -> str:
    """RuntimeClass that pods with GPUs have to name; ``""`` where none is needed, as with the operator, which hands devices over by CDI."""
    nodes = (node for node in active(facility, TYPE) if node.properties["driver"] == "device-plugin")
    return next((str(node.properties["runtime_class"]) for node in nodes), "")


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The operator; or the RuntimeClass, the device plugin and an exporter of the GPUs' metrics; never both.

    Parameters
    ----------
    node:
        A node of :data:`TYPE`.
    context:
        The facility and its cluster.
    """
    driver = node.properties["driver"]
    if driver == "gpu-operator":
        return (_operator(node, context),)
    return (_runtime(node), _plugin(node), _exporter(node, context)) if driver == "device-plugin" else ()


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the properties of GPUs."""
    given = node.properties
    operator = given["driver"] == "gpu-operator"
    own = {layout["name"] for layout in given["mig_layouts"]}
    asked = layouts(facility)
    unknown = sorted(asked - own - {MIG_OFF}) if own else []
    rules = (
        several(node, facility, "hand out the GPUs: a kubelet would count them twice"),
        (
            "driver",
            given["install_driver"] and not operator,
            "the device plugin installs no driver",
            "use driver gpu-operator, or set install_driver to false and let the machines' images bring it",
        ),
        (
            "layout",
            bool(asked) and not operator,
            f"machines are labelled {MIG_LABEL}, and the device plugin cuts no GPU into instances",
            "use driver gpu-operator, or take the label away and cut them when the machines are made",
        ),
        (
            "strategy",
            bool(asked - {MIG_OFF}) and operator and given["mig_strategy"] == "none",
            f"the layout {', '.join(sorted(asked - {MIG_OFF}))} makes instances, and mig_strategy none hands out whole GPUs",
            "set mig_strategy to single (instances of one kind) or mixed",
        ),
        (
            "layouts",
            bool(unknown) and operator,
            f"machines are labelled {MIG_LABEL}={', '.join(unknown)}, which is not one of mig_layouts",
            f"use one of: {', '.join(sorted(own))}, {MIG_OFF}",
        ),
        (
            "discovery",
            not given["feature_discovery"] and not operator and given["mig_strategy"] != "none",
            "instances are told apart by labels that feature discovery writes, and it is turned off",
            "set feature_discovery to true",
        ),
    )
    return broken(_AREA, node, rules)


def layouts(facility: Facility) -> set[str]:
    """Layouts that labels of the template's machines ask for: the operator takes a layout from there alone."""
    labels = (pool.properties["labels"].get(MIG_LABEL) for pool in facility.of_type(POOL))
    return {label for label in labels if label}


def sharing(given: Mapping[str, Any]) -> dict[str, str]:
    """The device plugin's configurations by name: how many pods share one GPU in turns; none where it is not shared."""
    slices = given["time_slices"]
    if slices < 2:
        return {}
    shared = {"name": RESOURCE, "replicas": slices}
    config = {"version": "v1", "sharing": {"timeSlicing": {"failRequestsGreaterThanOne": True, "resources": [shared]}}}
    return {_CONFIG: json.dumps(config, sort_keys=True)}


def _layouts(given: Mapping[str, Any]) -> str:
    whole = {"devices": "all", "mig-enabled": False}
    configs: dict[str, Any] = {MIG_OFF: [whole]}
    for layout in given["mig_layouts"]:
        configs[layout["name"]] = [{"devices": "all", "mig-enabled": True, "mig-devices": dict(layout["instances"])}]
    return json.dumps({"version": "v1", "mig-configs": configs}, sort_keys=True)


def _operator(node: Node, context: Context) -> Release:
    given = node.properties
    watched = has_operator(context.facility)
    shared = sharing(given)
    plugin: dict[str, Any] = {"enabled": True}
    if shared:
        plugin["config"] = {"create": True, "name": "gpu-sharing", "default": _CONFIG, "data": shared}
    cuts: dict[str, Any] = {"default": MIG_OFF}
    if given["mig_layouts"]:
        cuts |= {"create": True, "name": "gpu-layouts", "data": {"config.yaml": _layouts(given)}}
    values = {
        "nfd": {"enabled": given["feature_discovery"]},
        "driver": {"enabled": given["install_driver"]},
        "toolkit": {"enabled": given["install_driver"] or given["install_toolkit"]},
        "cdi": {"enabled": True},
        "mig": {"strategy": given["mig_strategy"]},
        "migManager": {"enabled": given["mig_strategy"] != "none", "config": cuts},
        "devicePlugin": plugin,
        "gfd": {"enabled": True},
        "dcgmExporter": {"enabled": given["metrics"], "serviceMonitor": {"enabled": given["metrics"] and watched}},
        "operator": {"cleanupCRD": False, "upgradeCRD": True},
        "daemonsets": {"tolerations": _tolerations(given)},
        "vgpuDeviceManager": {"enabled": False},
        "vfioManager": {"enabled": False},
        "sandboxDevicePlugin": {"enabled": False},
    }
    discovery = _NFD if given["feature_discovery"] else ()
    return Release(
        "gpu-operator",
        NAMESPACE,
        "gpu-operator",
        values,
        node.name,
        needs=(OPERATOR_CRDS,),
        installed=enabled(node),
        pod_security="privileged",
        owns=(
            *definitions("nvidia.com", _OPERATOR_KINDS),
            *definitions("resource.nvidia.com", _DRA_KINDS),
            *discovery,
            "RuntimeClass/nvidia",
        ),
        timeout=1800,
    )


def _runtime(node: Node) -> Release:
    """The RuntimeClass of containerd's handler of the same name, which the device plugin's chart names and does not make."""
    name = node.properties["runtime_class"]
    kind = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": name}
    return Release(
        RUNTIME,
        NAMESPACE,
        "objects",
        {"objects": {"runtime": kind} if name else {}},
        node.name,
        installed=enabled(node) and bool(name) and bool(node.properties["make_runtime_class"]),
        pod_security="privileged",
        owns=(f"RuntimeClass/{name}",) if name else (),
    )


def _plugin(node: Node) -> Release:
    given = node.properties
    shared = sharing(given)
    values: dict[str, Any] = {
        "migStrategy": given["mig_strategy"],
        "failOnInitError": True,
        "gfd": {"enabled": given["feature_discovery"]},
        "runtimeClassName": given["runtime_class"] or None,
        "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}, *_tolerations(given)],
        "resources": resources("20m", "64Mi", "256Mi"),
    }
    if shared:
        values["config"] = {"map": shared, "default": _CONFIG}
    if not given["feature_discovery"]:
        values["affinity"] = _where(given)
    discovery = _NFD if given["feature_discovery"] else ()
    return Release(
        "nvidia-device-plugin",
        NAMESPACE,
        "nvidia-device-plugin",
        values,
        node.name,
        needs=(RUNTIME,),
        installed=enabled(node),
        pod_security="privileged",
        owns=discovery,
    )


def _exporter(node: Node, context: Context) -> Release:
    given = node.properties
    values = {
        "serviceMonitor": {"enabled": has_operator(context.facility)},
        "runtimeClassName": given["runtime_class"],
        "affinity": _where(given),
        "tolerations": _tolerations(given),
    }
    return Release(
        "dcgm-exporter",
        NAMESPACE,
        "dcgm-exporter",
        values,
        node.name,
        needs=("nvidia-device-plugin", OPERATOR_CRDS),
        installed=enabled(node) and bool(given["metrics"]),
        pod_security="privileged",
    )


def _tolerations(given: Mapping[str, Any]) -> list[dict[str, str]]:
    own = [{"key": key, "operator": "Exists"} for key in given["tolerated_taints"]]
    return [{"key": RESOURCE, "operator": "Exists", "effect": "NoSchedule"}, *own]


def _where(given: Mapping[str, Any]) -> dict[str, Any]:
    """Machines that have GPUs, by the label that feature discovery writes or, without it, that their pool carries."""
    wanted = [{"key": "nvidia.com/gpu.present", "operator": "In", "values": ["true"]}]
    terms = [{"matchExpressions": wanted}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
