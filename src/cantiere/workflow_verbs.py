"""What the verb ``run`` of the command line does."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from typing import Any

from cantiere.telling import warn


def run(options: argparse.Namespace, inputs: Mapping[str, Any]) -> int:
    """Run a workflow of a template, or tell its steps."""
    from cantiere.workflows.plan import build, lines
    from cantiere.workspace import open_workflow

    workspace = open_workflow(options.site, options.template, inputs, options.inputs, options.workflow)
    warn(workspace.warnings)
    plan = build(workspace.facility, options.workflow)
    if options.plan:
        print(json.dumps(plan.as_dict(), indent=1) if options.json else "\n".join(lines(plan)))
        return 0
    from cantiere.workflows.run import Flow

    began = time.monotonic()
    flow = Flow(workspace, plan, options.json)
    flow.run()
    seconds = time.monotonic() - began
    if options.json:
        result = {"facility": workspace.facility.name, "workflow": options.workflow, "steps": flow.steps, "outputs": flow.outputs}
        print(json.dumps({**result, "seconds": round(seconds, 2)}, indent=1))
        return 0
    print(f"{options.workflow}: {len(flow.steps)} steps done in {seconds:.0f} s")
    for name, outputs in flow.outputs.items():
        _show(name, outputs)
    return 0


def _show(name: str, outputs: dict[str, Any]) -> None:
    """Name what an operation gave back; values may be secret, and are kept in the site's state folder."""
    print(f"  {name} gave {', '.join(outputs)}")
