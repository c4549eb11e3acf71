"""Units of systemd: one call for each kind of change, with all units in it."""

from __future__ import annotations

import time

from ansible.module_utils.cantiere import probe
from ansible.module_utils.cantiere.run import Refusal

FOLDERS = ("/etc/systemd/system/", "/usr/lib/systemd/system/", "/lib/systemd/system/", "/run/systemd/system/")
JOURNAL_LINES = "8"
MOMENT = 0.3


def systemctl(verb, names):
    """Call ``systemctl`` once for several units.

    Raises
    ------
    Refusal
        It failed; says which units have failed and the last lines of their journal.
    """
    code, out, err = probe.output(["systemctl", verb, *(["--"] if names else []), *names])
    if code:
        raise Refusal(
            f"`systemctl {verb} {' '.join(names)}` failed: {(err or out).strip()[-400:]}\n{journal(names)}".rstrip(), remedy(names)
        )


def remedy(names):
    """What the reader can do about units that do not run."""
    return f"on this machine: journalctl -u {' -u '.join(names)}; mend the cause and converge again" if names else "see systemctl status"


def journal(names):
    """The last lines of the units that do not run."""
    states = probe.units(names)
    tails = []
    for name in names:
        if states.get(name, {}).get("ActiveState") != "active":
            lines = probe.output(["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines", JOURNAL_LINES, "--unit", name])[1]
            tails += [f"{name}: {lines.strip()}"] if lines.strip() else []
    return "\n".join(tails)


def watch(run, wanted, observed):
    """Note which files make which units restart, before any file is written.

    Parameters
    ----------
    run:
        The convergence.
    wanted:
        The units.
    observed:
        Paths that others write: what differs from what was recorded last counts as changed, such as a new program.
    """
    changed = {path for path in observed if run.record.known["observed"].get(path, probe.fingerprint(path)) != probe.fingerprint(path)}
    for unit in wanted:
        for verb, paths, table in (("restart", unit["restart_on"], run.restarts), ("reload", unit["reload_on"], run.reloads)):
            for path in paths:
                table.setdefault(path, []).append(unit["name"])
            if changed.intersection(paths):
                run.record.pending.add(f"{verb} {unit['name']}")


def converge(run, wanted):
    """Enable, start, restart, reload and stop units, each only where it differs or waits for it.

    Raises
    ------
    Refusal
        There is no systemd, or a unit does not do as it should.
    """
    names = [unit["name"] for unit in wanted]
    running = probe.systemd()
    if names and not running and not run.check:
        raise Refusal("systemd does not run here, and units are to be converged", "use a machine that systemd has started")
    now = probe.units(names) if running else {}
    if running and (any(path.startswith(FOLDERS) for path in run.paths) or any(now[name].get("NeedDaemonReload") == "yes" for name in now)):
        run.change("systemd reads its unit files again", lambda: systemctl("daemon-reload", []))
        now = probe.units(names)
    verbs = {"disable": [], "stop": [], "enable": [], "restart": [], "start": [], "reload-or-restart": []}
    for unit in wanted:
        name, seen = unit["name"], now.get(unit["name"], {})
        active, enabled = seen.get("ActiveState") in probe.STARTED, seen.get("UnitFileState") in probe.ENABLED
        wants_start = unit["state"] == "started"
        run.wanted["units"][name] = {"enabled": unit["enabled"], "state": unit["state"]}
        run.save_before(f"unit {name}", {"enabled": enabled, "active": active})
        if enabled != unit["enabled"] and seen.get("UnitFileState") not in ("static", "indirect", "generated"):
            verbs["enable" if unit["enabled"] else "disable"].append(name)
        if not wants_start:
            verbs["stop"] += [name] if active else []
        elif not active:
            verbs["start"].append(name)
        elif f"restart {name}" in run.record.pending:
            verbs["restart"].append(name)
        elif f"reload {name}" in run.record.pending:
            verbs["reload-or-restart"].append(name)
    missing = {"disable", "stop"}
    for verb, chosen in verbs.items():
        there = [name for name in chosen if verb not in missing or now.get(name, {}).get("LoadState") == "loaded"]
        if there:
            run.change(f"units {verb}: {', '.join(there)}", lambda verb=verb, there=there: systemctl(verb, there))
    if not run.check:
        settle(run, moment=MOMENT if verbs["start"] or verbs["restart"] else 0)


def waits(seen):
    """Whether a unit that was told to start did not, because a condition of its file is not met."""
    return seen.get("ActiveState") == "inactive" and seen.get("ConditionResult") == "no"


def settle(run, moment):
    """Refuse units that ended right after their start; one whose conditions are not met yet may wait.

    Parameters
    ----------
    run:
        The convergence.
    moment:
        Seconds that units have to end: systemd takes most for started as soon as their process is there.

    Raises
    ------
    Refusal
        A unit ended; says its last words.
    """
    time.sleep(moment)
    seen = probe.units(run.wanted["units"])
    failed = [
        name
        for name, wanted in run.wanted["units"].items()
        if wanted["state"] == "started" and seen.get(name, {}).get("ActiveState") not in probe.STARTED and not waits(seen.get(name, {}))
    ]
    if failed:
        states = ", ".join(f"{name} is {seen.get(name, {}).get('ActiveState', 'unknown')}" for name in failed)
        raise Refusal(f"{states} after its start\n{journal(failed)}".rstrip(), remedy(failed))


def put_back(run, part, ours):
    """Bring units back to how they were before the role.

    Parameters
    ----------
    run:
        The convergence.
    part:
        The part of the manifest that goes; its units are stopped and disabled where the role started and enabled them.
    ours:
        Paths of the role's own files: a unit whose file is among them goes altogether.
    """
    names = list(part["units"])
    seen = probe.units(names) if probe.systemd() else {}
    stop, disable, start, enable, failed = [], [], [], [], []
    for name in names:
        now = seen.get(name, {})
        if now.get("LoadState") != "loaded":
            continue
        before = {} if any(folder + name in ours for folder in FOLDERS) else part["before"].get(f"unit {name}", {})
        failed += [name] if now["ActiveState"] == "failed" else []
        active, enabled = now["ActiveState"] in probe.STARTED, now["UnitFileState"] == "enabled"
        stop += [name] if active and not before.get("active") else []
        disable += [name] if enabled and not before.get("enabled") else []
        start += [name] if not active and before.get("active") else []
        enable += [name] if now["UnitFileState"] == "disabled" and before.get("enabled") else []
    for verb, chosen in (("stop", stop), ("disable", disable), ("reset-failed", failed), ("enable", enable), ("start", start)):
        if chosen:
            run.change(f"units {verb}: {', '.join(chosen)}", lambda verb=verb, chosen=chosen: systemctl(verb, chosen))
