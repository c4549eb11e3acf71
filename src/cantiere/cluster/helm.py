"""Helm and helmfile of the artifact store; one release at a time, so that order and reports are the plan's own."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from cantiere import supply
from cantiere.cluster.model import ClusterWanted
from cantiere.errors import CantiereError, Problem
from cantiere.kubernetes.text import as_yaml
from cantiere.site import Site
from cantiere.state import write_atomic
from cantiere.supply.pins import own_architecture
from cantiere.values.helmfile import Source, document
from cantiere.values.model import Release

TOOLS = ("helm", "helmfile")
TAIL = 30
POLL_SECONDS = 1.0
GRACE = 120
"""Seconds beyond a release's own timeout: a rollback takes as long as its pods need to come back."""
NOISE = ("Comparing", "helm ", "exec:", "Affected releases", "UPDATED RELEASES", "NAME ", "wrote ")


class Helm:
    """Helm on one cluster.

    Parameters
    ----------
    site:
        Whose artifacts.
    folder:
        Where ``helmfile.yaml``, values and Helm's own files are kept.
    kubeconfig, context:
        The cluster.
    log:
        Takes lines of long work.
    gone:
        Whether whoever asked for the run is gone.
    """

    def __init__(
        self,
        site: Site,
        folder: Path,
        kubeconfig: Path,
        context: str,
        log: Callable[[str], None],
        gone: Callable[[], bool] = lambda: False,
    ) -> None:
        self.site = site
        self.folder = folder
        self.kubeconfig = kubeconfig
        self.context = context
        self.log = log
        self.gone = gone

    @cached_property
    def programs(self) -> Mapping[str, str]:
        """Paths of the programs; made or fetched where they are not here yet."""
        stored = supply.ensure(TOOLS, self.site, own_architecture(), self.log)
        return {name: str(next(file.path for file in found.files if file.name == name)) for name, found in stored.items()}

    def write(self, wanted: ClusterWanted, new: frozenset[str], sources: Mapping[str, Source]) -> None:
        """Write the helmfile with its values.

        Parameters
        ----------
        wanted:
            Its releases.
        new:
            Releases of which no revision works yet.
        sources:
            Chart to its folder.
        """
        content = document(wanted.releases, wanted.digests, sources, wanted.name, context=self.context, new=new)
        for release in wanted.releases:
            write_atomic(self.folder / "values" / f"{release.name}.yaml", as_yaml(release.values))
        write_atomic(self.folder / "helmfile.yaml", as_yaml(content))

    def sync(self, release: Release, tend: Callable[[], None]) -> None:
        """Install or upgrade one release, and wait until it is ready.

        Parameters
        ----------
        release:
            Which.
        tend:
            Called every second meanwhile.
        """
        more = ["--skip-crds"] if release.crds == "skip" else []
        named = [*self._context("--kube-context"), "--selector", f"name={release.name}"]
        head = [self.programs["helmfile"], "--file", str(self.folder / "helmfile.yaml"), "--helm-binary", self.programs["helm"]]
        self._run([*head, "--no-color", *named, "sync", "--skip-needs", *more], release.name, release.timeout, tend=tend)

    def uninstall(self, name: str, namespace: str, timeout: int = 600) -> None:
        """Remove one release and wait until its pods are gone."""
        command = ["uninstall", name, "--namespace", namespace, "--ignore-not-found", "--wait", "--timeout", f"{timeout}s"]
        self._run([self.programs["helm"], *self._context("--kube-context"), *command], name, timeout)

    def rendered(self, release: Release, chart: str) -> list[dict[str, Any]]:
        """The objects of a release as Helm would send them now, with what it looks up in the cluster.

        Parameters
        ----------
        release:
            Which.
        chart:
            Folder of its chart.
        """
        values = str(self.folder / "values" / f"{release.name}.yaml")
        flags = ["--namespace", release.namespace, "--values", values, "--dry-run=server", "--output", "json", "--hide-notes"]
        command = [self.programs["helm"], *self._context("--kube-context"), "upgrade", "--install", release.name, chart, *flags]
        text = self._run(command, release.name, release.timeout, tell=False)
        manifest = json.loads(text[text.index("{") :]).get("manifest") or ""
        return [item for item in yaml.safe_load_all(manifest) if isinstance(item, dict)]

    def template(self, release: Release, chart: str, kubernetes_version: str) -> list[dict[str, Any]]:
        """The objects that a chart makes of a release's values, without a look at the cluster; see :meth:`rendered`."""
        values = str(self.folder / "values" / f"{release.name}.yaml")
        crds = "--skip-crds" if release.crds == "skip" else "--include-crds"
        flags = ["--namespace", release.namespace, "--values", values, "--kube-version", kubernetes_version, crds]
        text = self._run([self.programs["helm"], "template", release.name, chart, *flags], release.name, release.timeout, tell=False)
        return [item for item in yaml.safe_load_all(text) if isinstance(item, dict)]

    def _context(self, flag: str) -> list[str]:
        return [flag, self.context] if self.context else []

    def _run(self, command: Sequence[str], name: str, timeout: int, *, tell: bool = True, tend: Callable[[], None] | None = None) -> str:
        """Run a program to its end.

        Raises
        ------
        CantiereError
            It failed; its last lines are in the message.
        """
        home = self.folder / "helm"
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "HELM_CACHE_HOME": str(home / "cache"),
            "HELM_CONFIG_HOME": str(home / "config"),
            "HELM_DATA_HOME": str(home / "data"),
            "HELMFILE_CACHE_HOME": str(home / "helmfile"),
            "HELMFILE_UPGRADE_NOTICE_DISABLED": "1",
        }
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if tell else said,
                env=environment,
                cwd=self.folder,
                start_new_session=True,
            ) as process,
        ):
            try:
                lines = list(self._lines(process, name, tell, time.monotonic() + timeout + GRACE, tend))
            except BaseException:
                _kill(process)
                raise
            said.seek(0)
            errors = said.read().splitlines()
        if process.returncode:
            raise failed(name, [*lines, *errors][-TAIL:])
        return "\n".join(lines)

    def _lines(
        self, process: subprocess.Popen[bytes], name: str, tell: bool, deadline: float, tend: Callable[[], None] | None
    ) -> Iterator[str]:
        """What a program prints, line by line, until it ends.

        Raises
        ------
        CantiereError
            It takes too long, or whoever asked for the run is gone: it must not go on then beside the run that comes next.
        """
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        rest, ended = b"", False
        while not ended:
            select.select([process.stdout], [], [], POLL_SECONDS)
            ended = process.poll() is not None
            while data := process.stdout.read():
                rest += data
            *whole, rest = rest.split(b"\n")
            for line in whole + ([rest] if ended and rest else []):
                text = line.decode(errors="replace").rstrip()
                if tell and text.strip() and not text.startswith(NOISE):
                    self.log(f"{name}: {text.strip()}")
                yield text
            if tend:
                tend()
            if self.gone():
                raise CantiereError(Problem("run.gone", "the run that asked for this was killed", "run the same command again", path=name))
            if time.monotonic() > deadline:
                raise failed(name, ["Error: it did not end in time"])


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program with all that it started; what Helm leaves unfinished the next run goes on with."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def failed(name: str, lines: Sequence[str]) -> CantiereError:
    """What Helm said last of a release that failed."""
    errors = [line.strip() for line in lines if "rror" in line] or [line.strip() for line in lines[-6:]]
    return CantiereError(
        Problem(
            "release.failed",
            f"release {name}: {' '.join(dict.fromkeys(errors))[:900]}",
            "mend what it says, then run the same command again: it goes on from here",
            path=name,
        )
    )
