"""A stand-in for OpenTofu in unit tests, where the real one would have to be compiled: it reads the same variables, takes the same words
and answers in the same shapes for a module with a server and a port for each machine. tests/system/test_terraform.py runs the real one.

``faults.json`` beside its state names machines whose server fails, those that would be replaced, those whose address of the outside is
gone, and whether another run holds the state.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

STATE, FAULTS, CALLS = Path("terraform.tfstate"), Path("faults.json"), Path("calls")


def say(**said: Any) -> None:
    print(json.dumps(said), flush=True)


def fail(summary: str, address: str = "") -> None:
    say(**{"@level": "error", "@message": summary, "diagnostic": {"summary": summary, "detail": "", "address": address}})
    sys.exit(1)


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def address(kind: str, name: str) -> str:
    return f'module.facility.{kind}.machine["{name}"]' if name else f"module.facility.{kind}.shared"


def resources(objects: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"mode": "managed", "values": {"id": item["id"]}, **item} for _, item in sorted(objects.items())]


def values(objects: dict[str, Any], machines: dict[str, Any]) -> dict[str, Any]:
    shut = load(FAULTS).get("doorless", [])
    told = {
        item["index"]: {
            "id": item["id"],
            "address": machines.get(item["index"], {}).get("address", ""),
            "door": "198.51.100.7" if machines.get(item["index"], {}).get("door") and item["index"] not in shut else "",
            "state": "running" if machines.get(item["index"], {}).get("running", True) else "stopped",
        }
        for item in objects.values()
        if item["kind"] == "server"
    }
    return {"root_module": {"child_modules": [{"resources": resources(objects)}]}, "outputs": {"machines": {"value": told}}}


def rules(variables: dict[str, Any]) -> list[str]:
    """Kinds of the shared objects that stand for what is let in from everywhere."""
    return [f"rule_{rule['port']}" for rule in variables["rules"] if rule["source"] == "0.0.0.0/0"]


def plan(flags: dict[str, list[str]]) -> None:
    faults, objects = load(FAULTS), load(STATE)
    if "lock" not in flags and faults.get("locked"):
        fail("Error acquiring the state lock")
    variables = load(Path(flags["var-file"][0])) if "var-file" in flags else load(Path("terraform.tfvars.json"))
    machines = {} if "destroy" in flags else variables["machines"]
    if variables["network"]["subnet"] == faults.get("refused"):
        fail("no such network")
    wanted = {address(kind, name): (kind, name) for name in machines for kind in ("server", "port")}
    wanted |= {} if "destroy" in flags else {address(kind, ""): (kind, "") for kind in ("network", *rules(variables))}
    changes = []
    if "refresh-only" not in flags:
        for where in sorted({*wanted, *objects}):
            kind, name = wanted.get(where) or (objects[where]["kind"], objects[where].get("index"))
            anew = where in flags.get("replace", []) or name in faults.get("replaced", []) or objects.get(where, {}).get("tainted")
            actions = ["no-op"] if where in wanted and where in objects else ["create"] if where in wanted else ["delete"]
            reason = "replace_because_tainted" if objects.get(where, {}).get("tainted") else "replace_because_cannot_update"
            entry = {"address": where, "kind": kind, "change": {"actions": ["delete", "create"] if anew and where in objects else actions}}
            changes.append({**entry, **({"index": name} if name else {}), **({"action_reason": reason} if anew else {})})
    told = values(objects, variables["machines"])
    found = {"resource_changes": changes, "planned_values": told, "prior_state": {"values": told}}
    Path(flags["out"][0]).write_text(json.dumps(found))


def apply(file: Path) -> None:
    faults, objects = load(FAULTS), load(STATE)
    broken = []
    for item in load(file)["resource_changes"]:
        actions, where = item["change"]["actions"], item["address"]
        if "delete" in actions:
            del objects[where]
        if "create" in actions:
            bad = item["kind"] == "server" and item["index"] in faults.get("failing", [])
            objects[where] = {"address": where, "kind": item["kind"], "id": f"id-{len(objects)}", "tainted": bad}
            objects[where] |= {"index": item["index"]} if "index" in item else {}
            hook = {"resource": {"addr": where}, "action": "create", "id_key": "id", "id_value": objects[where]["id"]}
            broken += [where] if bad else []
            say(**{"@level": "info", "type": "apply_complete", "hook": hook})
            if where == address("server", faults.get("killed", "-")):
                sys.exit(137)  # its state is not written
    STATE.write_text(json.dumps(objects))
    if broken:
        fail("no host has room", broken[0])


def main(verb: str, *rest: str) -> None:
    with CALLS.open("a") as calls:
        calls.write(" ".join([verb, *rest]) + "\n")
    flags: dict[str, list[str]] = {}
    for word in rest:
        if word.startswith("-"):
            flags.setdefault(word[1:].partition("=")[0], []).append(word.partition("=")[2])
    plain = [word for word in rest if not word.startswith("-")]
    if verb == "plan":
        plan(flags)
    elif verb == "apply":
        apply(Path(plain[0]))
    elif verb == "show":
        machines = load(Path("terraform.tfvars.json")).get("machines", {})
        print(Path(plain[0]).read_text() if plain else json.dumps({"values": values(load(STATE), machines)} if STATE.exists() else {}))
    elif verb == "import":
        kind, name = plain[0].split(".")[2], plain[0].split('"')[1] if '"' in plain[0] else ""
        objects = load(STATE)
        objects[plain[0]] = {"address": plain[0], "kind": kind, "id": plain[1], **({"index": name} if name else {})}
        STATE.write_text(json.dumps(objects))


if __name__ == "__main__":
    main(*sys.argv[1:])
