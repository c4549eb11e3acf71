"""Templates of any size: compute nodes with one software node each, and a tree of dependencies between these.

Run ``python bench/_machines.py N [named|matched]`` from the checkout to print one.
"""

from __future__ import annotations

import sys

HEAD = """\
tosca_definitions_version: tosca_simple_yaml_1_3
metadata: {template_name: machines}
data_types:
  bench.Volume:
    derived_from: tosca.datatypes.Root
    properties:
      size: {type: scalar-unit.size, constraints: [{in_range: [1 GB, 4 TB]}]}
      path: {type: string, constraints: [{pattern: '/[a-z0-9/]+'}]}
node_types:
  bench.Machine:
    derived_from: tosca.nodes.Compute
    properties:
      serial: {type: integer}
      rack: {type: integer, constraints: [{in_range: [0, 100000]}]}
      tags: {type: list, entry_schema: {type: string}}
  bench.Software:
    derived_from: tosca.nodes.SoftwareComponent
    properties:
      port: {type: integer, constraints: [{in_range: [1024, 65535]}]}
      level: {type: string, constraints: [{valid_values: [debug, info, warning]}], default: info}
      hosts: {type: list, entry_schema: {type: string, constraints: [{max_length: 64}]}, constraints: [{max_length: 8}]}
      volume: {type: bench.Volume}
topology_template:
  inputs:
    cpus: {type: integer, default: 4, constraints: [{valid_values: [1, 2, 4, 8]}]}
  node_templates:
"""
PAIR = """\
    machine-{n}:
      type: bench.Machine
      properties: {{serial: {n}, rack: {rack}, tags: [compute, rack-{rack}]}}
      capabilities:
        host: {{properties: {{num_cpus: {{get_input: cpus}}, mem_size: 8 GB}}}}
    software-{n}:
      type: bench.Software
      properties:
        port: {port}
        hosts: [a-{n}, b-{n}]
        volume: {{size: {size} GB, path: /data/{n}}}
      requirements:
        - host:
            node: {host}
            node_filter: {{{own}capabilities: [{{host: {{properties: [{{mem_size: {{greater_or_equal: 4 GB}}}}]}}}}]}}
{dependency}"""


def template(machines: int, named: bool = True) -> str:
    """A template with that many compute nodes and as many software nodes, each of which depends on that of half its number.

    Where hosts are not named, each software node finds the one machine that its node filter lets through.
    """
    pairs = (
        PAIR.format(
            n=n,
            host=f"machine-{n}" if named else "bench.Machine",
            own="" if named else f"properties: [{{serial: {{equal: {n}}}}}], ",
            rack=n // 40,
            port=1024 + n % 60000,
            size=1 + n % 64,
            dependency=f"        - dependency: software-{n // 2}\n" if n else "",
        )
        for n in range(machines)
    )
    return HEAD + "".join(pairs)


if __name__ == "__main__":
    print(template(int(sys.argv[1]), "matched" not in sys.argv[2:]), end="")
