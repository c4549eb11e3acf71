"""What the steps share while they run: the target, the users' sessions, and how to put everything back."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cantiere.verify.hub import HubUser
from cantiere.verify.kernel import Kernel
from cantiere.verify.result import StepFailed, StepNotRun
from cantiere.verify.target import Target

NOTEBOOK_CODE = Path(__file__).resolve().parent / "notebook"


@dataclass
class Session:
    """One run of the verification.

    Parameters
    ----------
    target:
        The facility.
    cleanup:
        What puts the facility back as it was; run at the end whatever happened.
    began:
        Seconds since 1970 when it began.
    mark:
        A name that no other run uses.
    """

    target: Target
    cleanup: ExitStack
    began: float = field(default_factory=time.time)
    mark: str = field(default_factory=lambda: f"verify-{secrets.token_hex(4)}")
    kept: dict[str, float] = field(default_factory=dict)
    users: dict[str, HubUser] = field(default_factory=dict)
    _kernels: dict[str, Kernel] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)

    def member(self, number: int = 0) -> str:
        """Name of a user who may use the facility.

        Raises
        ------
        StepNotRun
            There are not that many.
        """
        members = self.target.members()
        if len(members) <= number:
            raise StepNotRun(f"the facility's IAM has {len(members)} demo users who may log in; this needs {number + 1}")
        return members[number]

    def new_user(self, name: str) -> HubUser:
        """A user before log-in."""
        return HubUser(self.target.hub_url, name, self.target.password(name), self.target.ca)

    def user(self, name: str) -> HubUser:
        """A user who is logged in."""
        if name not in self.users:
            user = self.new_user(name)
            user.log_in()
            self.users[name] = user
        return self.users[name]

    def kernel(self, name: str) -> Kernel:
        """A user's kernel in a folder with the example analysis; the notebook server is started where there is none.

        The server is stopped at the end unless the user had one before.
        """
        if name not in self._kernels:
            user = self.user(name)
            if not user.server_runs():
                self.cleanup.callback(user.stop_server)
                user.spawn()
            user.wait_for_server()
            for file in [*self.target.examples.iterdir(), *NOTEBOOK_CODE.glob("*.py")]:
                if file.is_file():
                    user.upload(file, f"{self.mark}/{file.name}")
            kernel = Kernel(user, f"{self.mark}/analysis.ipynb")
            self.cleanup.callback(quietly(kernel.close))
            self.cleanup.callback(
                quietly(lambda: kernel.run(f"import os, shutil\nos.chdir('..')\nshutil.rmtree({self.mark!r}, ignore_errors=True)"))
            )
            kernel.run("import os\nos.chmod('job.sh', 0o755)\nimport probe, facility", timeout=60)
            self._kernels[name] = kernel
        return self._kernels[name]

    def token(self, name: str) -> str:
        """A token of a user, as good as the one in that user's notebook."""
        if name not in self._tokens:
            self._tokens[name] = self.target.token_client.log_in(name, self.target.password(name))
        return self._tokens[name]

    def short_token(self, name: str) -> str:
        """A token of a user that expires within seconds; the same one each time."""
        key = f"{name} (short)"
        if key not in self._tokens:
            self._tokens[key] = self.target.short_client.log_in(name, self.target.password(name))
        return self._tokens[key]

    def exchange(self, token: str, scope: str = "", audience: str = "") -> str:
        """A token with less scope, or for another audience."""
        return self.target.token_client.exchange(token, scope, audience)

    @contextmanager
    def stopped(self, *containers: str) -> Iterator[None]:
        """Containers are stopped inside the block, and run again after it, whatever happens."""
        try:
            for container in containers:
                self.target.control.stop(container)
            yield
        finally:
            for container in reversed(containers):
                self.target.control.start(container)

    def shell(self, container: str, script: str, timeout: float = 60.0) -> str:
        """Run a shell script inside a container, and give what it printed.

        Raises
        ------
        StepFailed
            It failed.
        """
        done = self.target.control.exec(container, ("sh", "-c", script), timeout)
        if done.code:
            raise StepFailed(
                f"in {container}: {done.stderr.strip()[-300:] or f'exit code {done.code}'}", f"see `./cantiere logs {container}`"
            )
        return done.stdout


def quietly(action: Callable[[], object]) -> Callable[[], None]:
    """The same, but a failure of it (the server may be gone) does not keep the rest from being put back."""

    def run() -> None:
        try:
            action()
        except Exception as error:  # the rest of the clean-up has to go on
            print(f"clean-up: {error}", file=sys.stderr)

    return run
