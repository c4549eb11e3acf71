"""Notebook servers as containers, asked for through the guard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docker.errors import APIError, NotFound
from docker.utils import parse_repository_tag
from dockerspawner import DockerSpawner
from tornado import web

from cantiere_hub.form import STACK, Limits, choose

LAUNCH = Path(__file__).with_name("launch.sh").read_text(encoding="utf-8")


class ImageMissing(Exception):
    """The engine does not have an image, and cannot pull it; the text is shown to the user."""

    def __init__(self, image: str, why: str) -> None:
        self.jupyterhub_message = f"Image {image} cannot be had: {why}."
        super().__init__(self.jupyterhub_message)


class NotebookSpawner(DockerSpawner):
    """DockerSpawner that also pulls by digest, and whose options are held to the facility's limits.

    ``limits``, ``gpu_driver`` and ``usual_environment`` are set for the class, once, by the hub's configuration.
    """

    limits: Limits
    gpu_driver: str
    usual_environment: Mapping[str, str]
    gpus = 0

    async def pull_image(self, image: str) -> None:
        """Pull an image that the engine does not have.

        Raises
        ------
        ImageMissing
            It cannot be had.
        """
        if await self._present(image):
            return
        repository, tag = parse_repository_tag(image)
        self.log.info("pulling %s", image)
        try:
            await self.docker("pull", repository, tag)
        except APIError as error:
            raise ImageMissing(image, str(error.explanation)) from error
        if not await self._present(image):
            raise ImageMissing(image, "the registry does not give it")

    async def _present(self, image: str) -> bool:
        try:
            await self.docker("inspect_image", image)
        except NotFound:
            return False
        return True

    def devices(self) -> list[dict[str, Any]]:
        """The GPUs that were chosen, as the engine is asked for them."""
        if not self.gpus:
            return []
        if self.gpu_driver == "cdi":
            return [{"Driver": "cdi", "DeviceIDs": [f"nvidia.com/gpu={number}" for number in range(self.gpus)], "Capabilities": [["gpu"]]}]
        return [{"Driver": self.gpu_driver, "Count": self.gpus, "Capabilities": [["gpu"]]}]


def apply(spawner: NotebookSpawner, options: Mapping[str, Any]) -> None:
    """Make a server what its user chose, on the page or by the REST interface.

    Raises
    ------
    tornado.web.HTTPError
        400: an option is out of range.
    """
    try:
        choice = choose(options, spawner.limits)
    except ValueError as error:
        raise web.HTTPError(400, str(error)) from error
    spawner.image = choice.image
    spawner.cpu_limit = float(choice.cpus)
    spawner.mem_limit = choice.memory
    spawner.gpus = choice.gpus
    stack = {STACK: spawner.limits.stacks[choice.stack]} if choice.stack else {}
    spawner.environment = {**spawner.usual_environment, **stack}


def host_settings(user_processes: int) -> Any:
    """What the engine is told of every notebook's container beside its image and limits; what it has not is here too."""

    def settings(spawner: NotebookSpawner) -> dict[str, Any]:
        found: dict[str, Any] = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "pids_limit": user_processes}
        if devices := spawner.devices():
            found["device_requests"] = devices
        return found

    return settings
