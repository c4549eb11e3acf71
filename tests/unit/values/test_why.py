"""Which facts values come from, found out by compiling again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cantiere.model import Node
from cantiere.values.model import PLACEHOLDER, Context, Release
from cantiere.values.perturb import others
from cantiere.values.samples import samples
from cantiere.values.why import CONSTANT, UNKNOWN, why
from support.releases import context, node, release


def origins(values: Callable[[Context], Mapping[str, Any]], *nodes: Node, **more: Any) -> dict[str, tuple[str, ...]]:
    """Origins by dotted path of what a function of the context compiles."""

    def compile(given: Context) -> tuple[Release, ...]:
        return (release(values=values(given)), release("two"))

    told = why(context(PLACEHOLDER, *nodes), "one", compile, **more)
    return {".".join(map(str, path)): names for path, names in told.origins.items()} | {"unjudged": told.unjudged}


def test_facts_and_constants() -> None:
    pool = node("one", properties={"cpus": 2, "groups": ["/cms"], "flag": True, "empty": ""})

    def values(given: Context) -> dict[str, Any]:
        own = given.facility.nodes[0].properties
        return {
            "constant": 1,
            "storage": {"class": given.cluster.storage_class},
            "cpus": own["cpus"] * 1000,
            "first": own["groups"][0] if own["groups"] else "",
            "many": len(own["groups"]),
            "on": not own["flag"],
            "name": own["empty"] or given.services.fqdn("x"),
            "image": given.image("iam"),
        }

    found = origins(values, pool)
    assert found == {
        "constant": (CONSTANT,),
        "storage.class": ("cluster.storage_class",),
        "cpus": ("one.cpus",),
        "first": ("one.groups",),
        "many": ("one.groups",),
        "on": ("one.flag",),
        "name": ("cluster.cluster_domain", "one.empty", "site.namespace"),
        "image.repository": ("cluster.registry",),
        "image.tag": ("artifacts.iam",),
        "unjudged": (),
    }


def test_requirements_and_names() -> None:
    nodes = (node("cache"), node("one", source=("cache",)))

    def values(given: Context) -> dict[str, Any]:
        one = next(item for item in given.facility.nodes if item.requirements)
        return {"source": given.facility.node(one.requirements["source"][0]).name, "secret": f"{one.name}-key"}

    found = origins(values, *nodes)
    assert found["source"] == ("cache (its name)", "one.requirements.source")
    assert found["secret"] == (CONSTANT,), "a release that follows its node's name cannot be found under another one here"


def test_a_release_follows_the_name_of_its_node() -> None:
    def compile(given: Context) -> tuple[Release, ...]:
        only = given.facility.nodes[0]
        return (release(f"{only.name}-cm", node=only.name, values={"secret": only.name}),)

    told = why(context(PLACEHOLDER, node("pool")), "pool-cm", compile)
    assert told.origins == {("secret",): ("pool (its name)",)}


def test_what_cannot_be_changed_is_unknown_and_said() -> None:
    def values(given: Context) -> dict[str, Any]:
        if given.facility.nodes[0].properties["mode"] != "only":
            raise ValueError("no such mode")
        return {"mode": "only", "class": given.cluster.storage_class}

    found = origins(values, node("one", properties={"mode": "only"}))
    assert found["unjudged"] == ("one.mode",)
    assert found["mode"] == (UNKNOWN,)
    assert found["class"] == ("cluster.storage_class",)


def test_another_value_is_tried_where_the_first_one_is_refused() -> None:
    def values(given: Context) -> dict[str, Any]:
        count = given.facility.nodes[0].properties["count"]
        if count > 3:
            raise ValueError("too many")
        return {"count": count}

    assert origins(values, node("one", properties={"count": 3}))["count"] == ("one.count",)


def test_empty_lists_get_an_entry_of_their_type() -> None:
    def values(given: Context) -> dict[str, Any]:
        return {"names": [item["name"] for item in given.facility.nodes[0].properties["classes"]] or "none"}

    empty = node("one", "t.Pool", {"classes": []})
    assert origins(values, empty)["names"] == (UNKNOWN,)
    sample = {("t.Pool", "classes"): [{"name": "big"}]}
    assert origins(values, empty, samples=sample)["names"] == ("one.classes",)


def test_a_way_in_brings_the_zone() -> None:
    def values(given: Context) -> dict[str, Any]:
        return {"host": given.services.zone}

    made = replace(context(), cluster=replace(PLACEHOLDER, ingress_class=""))
    told = why(made, "one", lambda given: (release(values=values(given)),))
    assert told.origins[("host",)] == ("cluster.ingress_class", "cluster.gateway")


def test_what_the_site_says() -> None:
    def without(given: Context) -> tuple[Release, ...]:
        return (release(values={"a": 1, "b": given.cluster.zone}),)

    def compile(given: Context) -> tuple[Release, ...]:
        return (release(values={"a": 2, "b": given.cluster.zone}),)

    told = why(context(), "one", compile, beside={"site.releases.one.values_overrides": without})
    assert told.origins[("a",)] == ("site.releases.one.values_overrides",)
    assert told.origins[("b",)] == ("cluster.zone",)


def test_a_release_that_is_left_out_tells_nothing_of_its_values() -> None:
    def compile(given: Context) -> tuple[Release, ...]:
        outside = given.facility.nodes[0].properties["outside"]
        return (release(values={} if outside else {"a": 1}, installed=not outside),)

    told = why(context(PLACEHOLDER, node("one", properties={"outside": ""})), "one", compile)
    assert told.origins == {("a",): (CONSTANT,)}


def test_an_unknown_release() -> None:
    with pytest.raises(KeyError):
        why(context(), "three", lambda given: (release(),))


VALUES = st.recursive(
    st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "1.36.3", "10.0.0.0/8", "192.0.2.1", "/a", "https://a.test", "b.c"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("ab"), below, max_size=2),
    max_leaves=6,
)


@given(VALUES)
def test_other_values_differ_and_keep_the_type(value: Any) -> None:
    groups = list(others(value))
    assert groups
    for group in groups:
        assert group and group[0] != value
        assert type(group[0]) is type(value)


def test_samples_are_of_the_declared_types() -> None:
    profile = {
        "data_types": {
            "d.Base": {"properties": {"title": {"type": "string"}}},
            "d.Class": {
                "derived_from": "d.Base",
                "properties": {
                    "memory": {"type": "scalar-unit.size"},
                    "style": {"type": "string", "constraints": [{"valid_values": ["hpa", "jobs"]}]},
                },
            },
        },
        "node_types": {
            "t.Base": {"properties": {"labels": {"type": "map", "entry_schema": {"type": "string"}}}},
            "t.Pool": {
                "derived_from": "t.Base",
                "properties": {"classes": {"type": "list", "entry_schema": {"type": "d.Class"}}, "count": {"type": "integer"}},
            },
        },
    }
    found = samples([profile])
    assert found["t.Pool", "classes"] == [{"title": "other", "memory": 8 << 30, "style": "hpa"}]
    assert found["t.Pool", "labels"] == {"other": "other"}
    assert ("t.Pool", "count") not in found
