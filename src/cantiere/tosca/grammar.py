"""Which keywords each construct of TOSCA Simple Profile 1.0 to 1.3 may have; 2.0 is rewritten to these before."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from cantiere.tosca.elements import Element, Map, Scalar, Seq, kind
from cantiere.tosca.problems import Place, Problems, listed, quote

VERSIONS = ("tosca_simple_yaml_1_0", "tosca_simple_yaml_1_1", "tosca_simple_yaml_1_2", "tosca_simple_yaml_1_3", "tosca_2_0")

TYPE_SECTIONS = {
    "node_types": "node type",
    "capability_types": "capability type",
    "relationship_types": "relationship type",
    "data_types": "data type",
    "artifact_types": "artifact type",
    "interface_types": "interface type",
    "group_types": "group type",
    "policy_types": "policy type",
}

SERVICE_TEMPLATE = (
    "tosca_definitions_version",
    "namespace",
    "profile",
    "tosca_default_namespace",
    "metadata",
    "template_name",
    "template_author",
    "template_version",
    "description",
    "dsl_definitions",
    "repositories",
    "imports",
    *TYPE_SECTIONS,
    "topology_template",
)
TOPOLOGY = (
    "description",
    "inputs",
    "node_templates",
    "relationship_templates",
    "groups",
    "policies",
    "outputs",
    "substitution_mappings",
    "workflows",
)
NODE_TEMPLATE = (
    "type",
    "description",
    "metadata",
    "directives",
    "properties",
    "attributes",
    "requirements",
    "capabilities",
    "interfaces",
    "artifacts",
    "node_filter",
    "copy",
)
RELATIONSHIP_TEMPLATE = ("type", "description", "metadata", "properties", "attributes", "interfaces", "copy")
REQUIREMENT_ASSIGNMENT = ("node", "capability", "relationship", "node_filter", "occurrences", "count", "description", "metadata")
RELATIONSHIP_ASSIGNMENT = ("type", "properties", "interfaces")
CAPABILITY_ASSIGNMENT = ("properties", "attributes", "occurrences")
GROUP = ("type", "description", "metadata", "properties", "attributes", "members", "interfaces")
POLICY = ("type", "description", "metadata", "properties", "targets", "triggers")
TRIGGER = (
    "description",
    "event",
    "event_type",
    "schedule",
    "target_filter",
    "condition",
    "constraint",
    "period",
    "evaluations",
    "method",
    "action",
)
WORKFLOW = ("description", "metadata", "inputs", "preconditions", "steps", "implementation", "outputs")
PRECONDITION = ("target", "target_relationship", "condition")
STEP = ("target", "target_relationship", "operation_host", "filter", "activities", "on_success", "on_failure")
ACTIVITIES = ("delegate", "set_state", "call_operation", "inline")
SUBSTITUTION = ("node_type", "substitution_filter", "properties", "attributes", "capabilities", "requirements", "interfaces")
INTERFACE = ("derived_from", "version", "metadata", "type", "description", "inputs", "operations", "notifications")
OPERATION = ("description", "implementation", "inputs", "outputs", "metadata")
ARTIFACT = (
    "type",
    "file",
    "repository",
    "description",
    "metadata",
    "deploy_path",
    "artifact_version",
    "checksum",
    "checksum_algorithm",
    "properties",
)
NODE_FILTER = ("properties", "capabilities")
SCHEMA = ("type", "description", "constraints", "entry_schema", "key_schema", "external-schema", "metadata")
PROPERTY = (*SCHEMA, "required", "default", "status")
INPUT = (*PROPERTY, "value")
OUTPUT = (*PROPERTY, "value")
_TYPE = ("derived_from", "version", "metadata", "description")
TYPES: dict[str, tuple[str, ...]] = {
    "node_types": (*_TYPE, "properties", "attributes", "requirements", "capabilities", "interfaces", "artifacts"),
    "capability_types": (*_TYPE, "properties", "attributes", "valid_source_types"),
    "relationship_types": (*_TYPE, "properties", "attributes", "interfaces", "valid_target_types"),
    "data_types": (*_TYPE, "properties", "constraints", "type", "entry_schema", "key_schema"),
    "artifact_types": (*_TYPE, "properties", "mime_type", "file_ext"),
    "group_types": (*_TYPE, "properties", "attributes", "members", "requirements", "capabilities", "interfaces"),
    "policy_types": (*_TYPE, "properties", "targets", "triggers"),
}
SCALAR_TYPE = (*TYPES["data_types"], "data_type", "units", "canonical_unit", "prefixes")
CAPABILITY_DEFINITION = ("type", "description", "properties", "attributes", "valid_source_types", "occurrences")
REQUIREMENT_DEFINITION = ("capability", "node", "relationship", "node_filter", "occurrences", "description", "metadata")
IMPORT = ("file", "url", "profile", "repository", "namespace", "namespace_uri", "namespace_prefix", "description", "metadata")


class Grammar:
    """Reads constructs and records what does not have the shape that TOSCA gives them."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def keywords(self, element: Map, allowed: Collection[str], what: str, path: str) -> None:
        """Record every keyword that the construct does not have, with the nearest one that it has."""
        for key in element.keys.values():
            if key.text not in allowed:
                remedy = self.problems.suggest(key.text, allowed, f"A {what} may have: {listed(allowed, 20)}.")
                self.problems.error("keyword.unknown", f"A {what} has no keyword {quote(key.text)}.", remedy, key, join(path, key.text))

    def wrong(self, element: Place, message: str, remedy: str, path: str) -> None:
        """Record that a construct has another shape."""
        self.problems.error("grammar.shape", message, remedy, element, path)

    def mapping(self, parent: Map, key: str, path: str) -> Map | None:
        """The mapping under a keyword; None where there is none or it is something else (which is recorded)."""
        element = parent.entries.get(key)
        if element is None or isinstance(element, Map):
            return element
        if not (isinstance(element, Scalar) and element.value is None):
            self.wrong(element, f"{quote(key)} is a mapping, not {kind(element)}.", "Write 'name: value' lines below it.", join(path, key))
        return None

    def sequence(self, parent: Map, key: str, path: str) -> Seq | None:
        """The list under a keyword; None where there is none or it is something else (which is recorded)."""
        element = parent.entries.get(key)
        if element is None or isinstance(element, Seq):
            return element
        if not (isinstance(element, Scalar) and element.value is None):
            self.wrong(element, f"{quote(key)} is a list, not {kind(element)}.", "Write '- ' before each entry.", join(path, key))
        return None

    def text(self, parent: Map, key: str, path: str) -> Scalar | None:
        """The word under a keyword; None where there is none or it is something else (which is recorded)."""
        element = parent.entries.get(key)
        if element is None or (isinstance(element, Scalar) and element.value is not None):
            return element
        self.wrong(element, f"{quote(key)} is a string, not {kind(element)}.", "Write one word or a quoted string.", join(path, key))
        return None

    def flag(self, parent: Map, key: str, path: str, default: bool) -> bool:
        """The boolean under a keyword."""
        element = parent.entries.get(key)
        if element is None:
            return default
        if isinstance(element, Scalar) and isinstance(element.value, bool):
            return element.value
        self.wrong(element, f"{quote(key)} is true or false, not {kind(element)}.", "Write true or false.", join(path, key))
        return default

    def named(self, parent: Map, key: str, path: str) -> Iterator[tuple[Scalar, Element, str]]:
        """Name, value and path of each entry of the mapping under a keyword."""
        element = self.mapping(parent, key, path)
        if element is not None:
            for name, value in element.items():
                yield name, value, f"{path}.{key}.{name.text}" if path else f"{key}.{name.text}"

    def maps(self, parent: Map, key: str, path: str, what: str) -> Iterator[tuple[Scalar, Map, str]]:
        """As :meth:`named`, only those whose value is a mapping; the others are recorded."""
        for name, value, where in self.named(parent, key, path):
            if isinstance(value, Map):
                yield name, value, where
            else:
                self.wrong(value if not empty(value) else name, f"A {what} is a mapping, not {kind(value)}.", "Write its keywords.", where)

    def listed(self, parent: Map, key: str, path: str) -> Iterator[tuple[Scalar, Element, str]]:
        """Name, value and path of each entry of a list of single-key mappings (requirements, property filters)."""
        sequence = self.sequence(parent, key, path)
        for number, entry in enumerate(sequence.items if sequence else ()):
            if isinstance(entry, Map) and len(entry.entries) == 1:
                for name, value in entry.items():
                    yield name, value, f"{join(path, key)}.{number}.{name.text}"
            else:
                self.wrong(
                    entry, f"An entry of {quote(key)} has one name and its value.", "Write '- name: value'.", f"{join(path, key)}.{number}"
                )

    def occurrences(self, parent: Map, path: str, default: tuple[int, int | None]) -> tuple[int, int | None]:
        """Least and most occurrences; None for UNBOUNDED."""
        element = parent.entries.get("occurrences")
        if element is None:
            return default
        if isinstance(element, Seq) and len(element.items) == 2:
            least, most = (item.value if isinstance(item, Scalar) else None for item in element.items)
            if type(least) is int and least >= 0 and most == "UNBOUNDED":
                return least, None
            if type(least) is int and type(most) is int and 0 <= least <= most:
                return least, most
        self.wrong(element, "Occurrences are two numbers, least and most.", "Write [1, 1] or [0, UNBOUNDED].", join(path, "occurrences"))
        return default


def empty(element: Element) -> bool:
    """Whether nothing is written there."""
    return isinstance(element, Scalar) and element.value is None


def join(path: str, key: str) -> str:
    """The path of a key."""
    return f"{path}.{key}" if path else key
