"""Kernel modules and settings."""

from __future__ import annotations

import os

from ansible.module_utils.cantiere import probe
from ansible.module_utils.cantiere.paths import file
from ansible.module_utils.cantiere.run import Refusal


def plain_file(path, lines):
    """A configuration file of ours as an item of ``files``."""
    text = "# Written by cantiere\n" + "".join(line + "\n" for line in lines)
    return {"path": path, "content": text, "mode": "0644", "owner": "root", "group": "root"}


def modules(run, names, optional):
    """Load kernel modules, now and at every start; what is built in needs no loading.

    Parameters
    ----------
    run:
        The convergence.
    names:
        Modules that must be there.
    optional:
        Modules that are loaded where the kernel has them.

    Raises
    ------
    Refusal
        The kernel has a needed module neither built in nor to be loaded.
    """
    loaded = {line.split()[0] for line in probe.read("/proc/modules").splitlines()}
    lasting = []
    for name in [*names, *optional]:
        plain = name.replace("-", "_")
        if plain not in loaded and not probe.feature(name):
            code, _, said = probe.output(["modprobe", "--dry-run", "--quiet", name])
            if code:
                if name in names:
                    raise Refusal(
                        f"the kernel has no module {name} ({said.strip()[-200:] or 'modprobe finds none'})",
                        "install the kernel's full module package, or load it on the host where this machine is a container",
                    )
                continue
            run.change(f"kernel module {name} loaded", lambda name=name: load(name))
            loaded.add(plain)
        run.wanted["modules"].append(name)
        if plain in loaded:
            lasting.append(name)
    if lasting:
        file(run, plain_file(f"/etc/modules-load.d/cantiere-{run.name}.conf", lasting))


def load(name):
    """Load a module.

    Raises
    ------
    Refusal
        It cannot be loaded.
    """
    code, out, said = probe.output(["modprobe", name])
    if code:
        raise Refusal(
            f"kernel module {name} cannot be loaded: {(said or out).strip()[-400:]}", "see dmesg; in a container load it on the host"
        )


def sysctls(run, wanted):
    """Set kernel settings, now and at every start; only what differs is written.

    Raises
    ------
    Refusal
        The kernel lacks the setting, or it cannot be written here.
    """
    settings = {key: " ".join(str(value).split()) for key, value in wanted.items()}
    if settings:
        lines = [f"{key} = {value}" for key, value in sorted(settings.items())]
        file(run, plain_file(f"/etc/sysctl.d/60-cantiere-{run.name}.conf", lines))
    for key, value in settings.items():
        run.wanted["sysctls"][key] = value
        now = probe.sysctl(key)
        if now is None and not run.check:
            raise Refusal(
                f"the kernel has no setting {key}", "check its name; some settings come with a kernel module: list it in kernel_modules"
            )
        if now != value:
            if now is not None:
                run.save_before(f"sysctl {key}", now)
            run.change(f"sysctl {key} {now} becomes {value}", lambda key=key, value=value: write(key, value))


def write(key, value):
    """Write a kernel setting.

    Raises
    ------
    Refusal
        It cannot be written, or the kernel made something else of it.
    """
    try:
        with open(probe.sysctl_path(key), "w", encoding="utf-8") as handle:
            handle.write(value)
    except OSError as error:
        raise Refusal(
            f"sysctl {key} is {probe.sysctl(key)} and cannot be set to {value}: {os.strerror(error.errno)}",
            f"where this machine is a container, set it on the host: sysctl -w {key}='{value}'",
        ) from None
    if probe.sysctl(key) != value:
        raise Refusal(
            f"sysctl {key} was set to {value}, and the kernel made it {probe.sysctl(key)}", "give the value that the kernel takes"
        )
