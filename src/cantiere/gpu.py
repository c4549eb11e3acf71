"""NVIDIA GPUs cut into instances (MIG): which cuts a GPU allows, what one has, and the commands from here to there. Pure.

Python's standard library only, and no newer than 3.9: the role ``nvidia`` copies this file to the machines.

Source: NVIDIA's MIG user guide, https://docs.nvidia.com/datacenter/tesla/mig-user-guide/ (supported profiles, placements
as ``nvidia-smi mig -lgipp`` prints them, and the samples of output that the tests read).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Optional

Layout = Mapping[str, Sequence[str]]
"""Profiles by GPU: its index, or ``all``; no profiles switch MIG off, and a GPU that is not named is left as it is."""

ROUNDS = 4
"""Looks at the GPUs at most, when converging: the mode, the instances, and once more to see that nothing is left."""


class Profile(NamedTuple):
    """A kind of instance: the memory slices that it takes, where it may begin, and how many of it a GPU holds."""

    size: int
    starts: tuple[int, ...]
    limit: int


class Model(NamedTuple):
    """A GPU that can be cut: the word in its name, its memory in GiB, and its profiles."""

    word: str
    memory: int
    profiles: Mapping[str, Profile]


def _seven(small: int, double: int, half: int, full: int) -> dict[str, Profile]:
    """Profiles of the GPUs with seven compute and eight memory slices; they differ in memory (GB) only."""
    return {
        f"1g.{small}gb": Profile(1, (0, 1, 2, 3, 4, 5, 6), 7),
        f"1g.{small}gb+me": Profile(1, (0, 1, 2, 3, 4, 5, 6), 1),
        f"1g.{double}gb": Profile(2, (0, 2, 4, 6), 4),
        f"2g.{double}gb": Profile(2, (0, 2, 4), 3),
        f"3g.{half}gb": Profile(4, (0, 4), 2),
        f"4g.{half}gb": Profile(4, (0,), 1),
        f"7g.{full}gb": Profile(8, (0,), 1),
    }


MODELS = (
    Model(
        "A30",
        24,
        {
            "1g.6gb": Profile(1, (0, 1, 2, 3), 4),
            "1g.6gb+me": Profile(1, (0, 1, 2, 3), 1),
            "2g.12gb": Profile(2, (0, 2), 2),
            "2g.12gb+me": Profile(2, (0, 2), 1),
            "4g.24gb": Profile(4, (0,), 1),
        },
    ),
    Model("A100", 40, _seven(5, 10, 20, 40)),
    Model("A100", 80, _seven(10, 20, 40, 80)),
    Model("H100", 80, _seven(10, 20, 40, 80)),
    Model("H100", 94, _seven(12, 24, 47, 94)),
    Model("GH200", 96, _seven(12, 24, 48, 96)),
    Model("H200", 141, _seven(18, 35, 71, 141)),
    Model("B200", 180, _seven(23, 45, 90, 180)),
)


class Gpu(NamedTuple):
    """A GPU as ``nvidia-smi`` shows it: memory in MiB, MIG mode now and after the next reset (``Enabled``, ``Disabled``)."""

    number: int
    name: str
    memory: int
    mode: str
    pending: str


class Instance(NamedTuple):
    """A GPU instance: its GPU, profile and place."""

    gpu: int
    profile: str
    start: int


class Step(NamedTuple):
    """A command that brings a GPU nearer to what is wanted, and why."""

    command: tuple[str, ...]
    reason: str


QUERY = ("nvidia-smi", "--query-gpu=index,name,memory.total,mig.mode.current,mig.mode.pending", "--format=csv,noheader,nounits")
INSTANCES = ("nvidia-smi", "mig", "-lgi")
DEVICES = ("nvidia-smi", "-L")


def place(model: Model, profiles: Sequence[str]) -> Optional[tuple[tuple[str, int], ...]]:  # noqa: UP045 - read by Python 3.9 too
    """Find a place for each profile on one GPU.

    Returns
    -------
    tuple or None
        Profile and first memory slice, the most demanding profiles first; None where they do not fit together.
    """
    if any(profile not in model.profiles for profile in profiles):
        return None
    if any(list(profiles).count(profile) > model.profiles[profile].limit for profile in profiles):
        return None
    if sum(profile.endswith("+me") for profile in profiles) > 1:
        return None
    order = sorted(profiles, key=lambda profile: (len(model.profiles[profile].starts), -model.profiles[profile].size, profile))

    def fill(rest: Sequence[str], taken: frozenset[int]) -> Optional[tuple[tuple[str, int], ...]]:  # noqa: UP045 - as above
        if not rest:
            return ()
        size, starts, _ = model.profiles[rest[0]]
        for start in starts:
            slices = frozenset(range(start, start + size))
            after = None if slices & taken else fill(rest[1:], taken | slices)
            if after is not None:
                return ((rest[0], start), *after)
        return None

    return fill(order, frozenset())


def problems(layout: Layout) -> list[str]:
    """What cannot be right in a layout, whichever known GPU it is for."""
    found = []
    known = sorted({profile for model in MODELS for profile in model.profiles})
    for gpu, profiles in layout.items():
        if gpu != "all" and not gpu.isdecimal():
            found.append(f"MIG layout: {gpu!r} is no GPU; write its index in quotes, or all")
        unknown = [profile for profile in profiles if profile not in known]
        if unknown:
            found.append(f"MIG layout of GPU {gpu}: no known GPU has the profiles {unknown}; known are {', '.join(known)}")
        elif not any(place(model, profiles) is not None for model in MODELS):
            having = [f"{model.word} {model.memory} GB" for model in MODELS if set(profiles) <= set(model.profiles)]
            why = f"they do not fit together on {', '.join(having)}" if having else "they are not of one kind of GPU"
            found.append(f"MIG layout of GPU {gpu}: {', '.join(profiles)}: {why}; take fewer or smaller ones")
    return found


def model_of(gpu: Gpu) -> Optional[Model]:  # noqa: UP045 - as above
    """Which known model a GPU is, by name and memory; None for others."""
    fitting = [model for model in MODELS if re.search(rf"(?<![A-Z0-9]){model.word}(?![0-9])", gpu.name)]
    near = [model for model in fitting if abs(gpu.memory / 1024 - model.memory) < 2]
    return min(near, key=lambda model: abs(gpu.memory / 1024 - model.memory), default=None)


def parse_gpus(text: str) -> tuple[Gpu, ...]:
    """Read the answer to :data:`QUERY`."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 5 and cells[0].isdecimal() and cells[2].isdecimal():
            found.append(Gpu(int(cells[0]), cells[1], int(cells[2]), cells[3], cells[4]))
    return tuple(found)


def parse_instances(text: str) -> tuple[Instance, ...]:
    """Read the table that ``nvidia-smi mig -lgi`` prints; none where it says that there are none."""
    rows = re.findall(r"^\|\s+(\d+)\s+MIG (\S+)\s+\d+\s+\d+\s+(\d+):\d+\s+\|", text, re.MULTILINE)
    return tuple(Instance(int(gpu), profile, int(start)) for gpu, profile, start in rows)


def parse_devices(text: str) -> dict[int, list[str]]:
    """Read the devices that programs can use from ``nvidia-smi -L``: GPU to profiles."""
    found: dict[int, list[str]] = {}
    gpu = -1
    for line in text.splitlines():
        head = re.match(r"GPU (\d+): ", line)
        device = re.match(r"\s+MIG (\S+)\s+Device\s+\d+:", line)
        if head:
            gpu = int(head[1])
            found[gpu] = []
        elif device and gpu >= 0:
            found[gpu].append(device[1])
    return found


def steps(gpus: Sequence[Gpu], instances: Sequence[Instance], devices: Mapping[int, Sequence[str]], layout: Layout) -> tuple[Step, ...]:
    """Decide what brings the GPUs to the layout; nothing where they are there.

    Raises
    ------
    ValueError
        Where it cannot be reached: a GPU that is not there or not known, a layout that does not fit, a reset that is due.
    """
    missing = sorted(set(layout) - {"all"} - {str(gpu.number) for gpu in gpus})
    if missing:
        raise ValueError(f"the MIG layout names GPU {', '.join(missing)}, and there is none; nvidia-smi shows {len(gpus)} GPUs")
    found = []
    for gpu in gpus:
        wanted = layout.get(str(gpu.number), layout.get("all"))
        if wanted is not None:
            has = [instance.profile for instance in instances if instance.gpu == gpu.number]
            found += _of_gpu(gpu, wanted, has, devices.get(gpu.number, ()))
    return tuple(found)


def _of_gpu(gpu: Gpu, wanted: Sequence[str], has: Sequence[str], devices: Sequence[str]) -> list[Step]:
    index = str(gpu.number)
    model = model_of(gpu)
    placed = None if model is None else place(model, wanted)
    if wanted and model is None:
        raise ValueError(f"GPU {index} ({gpu.name}, {gpu.memory} MiB) is none of those whose MIG profiles are known here: leave it out")
    if placed is None and wanted:
        raise ValueError(f"GPU {index} ({gpu.name}) cannot be cut into {', '.join(wanted)}: change nvidia_mig_layout")
    target = "Enabled" if wanted else "Disabled"
    if gpu.pending != gpu.mode:
        raise ValueError(f"GPU {index}: MIG mode is {gpu.mode} and becomes {gpu.pending} with a reset: end what uses it, and reboot")
    clear = []
    if (sorted(has), sorted(devices)) != (sorted(wanted), sorted(wanted)):
        reason = f"it has {', '.join(has) or 'no instances'}"
        if devices:
            clear.append(Step(("nvidia-smi", "mig", "-i", index, "-dci"), reason))
        if has:
            clear.append(Step(("nvidia-smi", "mig", "-i", index, "-dgi"), reason))
    if gpu.mode != target:
        if not wanted and gpu.mode != "Enabled":
            return []  # a GPU that has no MIG has none to switch off
        return [*clear, Step(("nvidia-smi", "-i", index, "-mig", "1" if wanted else "0"), f"MIG mode is {gpu.mode}, not {target}")]
    if sorted(has) == sorted(devices) == sorted(wanted):
        return []
    tuples = ",".join(f"{profile}:{start}" for profile, start in placed or ())
    return [*clear, Step(("nvidia-smi", "mig", "-i", index, "-cgi", tuples, "-C"), f"it has not {', '.join(wanted)}")]


def observe(run: Callable[[Sequence[str]], str], layout: Layout) -> tuple[Step, ...]:
    """Look at the GPUs and decide; ``run`` runs a command and gives what it printed."""
    return steps(parse_gpus(run(QUERY)), parse_instances(run(INSTANCES)), parse_devices(run(DEVICES)), layout)


def converge(run: Callable[[Sequence[str]], str], layout: Layout) -> list[Step]:
    """Bring the GPUs to the layout.

    Returns
    -------
    list
        The steps that were run; none where all was as wanted.

    Raises
    ------
    ValueError
        Where the layout cannot be reached.
    """
    done: list[Step] = []
    for _ in range(ROUNDS):
        left = observe(run, layout)
        if not left:
            return done
        for step in left:
            run(step.command)
            done.append(step)
    raise ValueError(f"after {len(done)} commands the GPUs still differ from the layout: {'; '.join(step.reason for step in left)}")
