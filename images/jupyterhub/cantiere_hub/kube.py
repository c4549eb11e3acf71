"""The hub of a cluster: what the jupyterhub chart leaves to be said in Python. Its values load it with ``configure(c)``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubespawner import KubeSpawner
from tornado import web

from cantiere_hub import configuration, form

SETTINGS = Path("/etc/cantiere/hub.json")
SECRETS = Path("/usr/local/etc/jupyterhub/existing-secret")
"""Where the chart mounts the Secret that ``hub.existingSecret`` names."""
LAUNCH = Path(__file__).with_name("launch.sh").read_text(encoding="utf-8")


REFUSAL_SECONDS = 1.0
STOP_SECONDS = {False: 1, True: 20}
"""Whether a server makes pods, to how long it has to end them when it is stopped."""
UNAVAILABLE = ("ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
"""Why a container waits whose image cannot be had; the first of them after a second attempt."""


class ImageMissing(Exception):
    """A machine cannot pull an image; the text is shown to the user."""

    def __init__(self, image: str, why: str) -> None:
        self.jupyterhub_message = f"Image {image} cannot be had: {why}."
        super().__init__(self.jupyterhub_message)


class NotebookPodSpawner(KubeSpawner):
    """KubeSpawner whose options are held to the facility's limits.

    ``limits`` and ``settings`` are set for the class, once, by :func:`configure`; so is what every pod has beside its user's choice:
    ``usual_environment``, ``usual_labels``, ``usual_tolerations`` and ``usual_selector``.
    """

    limits: form.Limits
    settings: Mapping[str, Any]
    usual_environment: Mapping[str, str]
    usual_labels: Mapping[str, str]
    usual_tolerations: tuple[Mapping[str, Any], ...]
    usual_selector: Mapping[str, str]

    def offer(self) -> form.Limits:
        """What this server's user may choose from."""
        return self.limits.of(group.name for group in self.user.groups)

    def is_pod_running(self, pod: Mapping[str, Any] | None) -> bool:
        """Whether a pod serves already.

        Raises
        ------
        ImageMissing
            It never will: its image cannot be had.
        """
        for container in ((pod or {}).get("status") or {}).get("containerStatuses") or ():
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in UNAVAILABLE:
                raise ImageMissing(self.image, waiting.get("message") or waiting["reason"])
        return bool(super().is_pod_running(pod))


def apply(spawner: NotebookPodSpawner, options: Mapping[str, Any]) -> None:
    """Make a server what its user chose, on the page or by the REST interface.

    Raises
    ------
    tornado.web.HTTPError
        400: an option is out of range.
    """
    offer = spawner.offer()
    try:
        choice = form.choose(options, offer)
    except ValueError as error:
        raise web.HTTPError(400, str(error)) from error
    spawner.image = choice.image
    spawner.cpu_limit = float(choice.cpus)
    spawner.cpu_guarantee = round(choice.cpus * float(spawner.settings["reserved_cpus"]), 3)
    spawner.mem_limit = spawner.mem_guarantee = choice.memory
    place = form.placement(choice, spawner.settings)
    gpus = {place["gpu"]: str(choice.gpus)} if choice.gpus else {}
    spawner.extra_resource_limits, spawner.extra_resource_guarantees = gpus, dict(gpus)
    spawner.node_selector = {**spawner.usual_selector, **place["node_selector"]}
    spawner.tolerations = [*spawner.usual_tolerations, *place["tolerations"]]
    stack = {form.STACK: offer.stacks[choice.stack]} if choice.stack else {}
    computes = form.computing(choice, offer, spawner.settings)
    spawner.service_account = computes["account"]
    spawner.delete_grace_period = STOP_SECONDS[bool(computes["account"])]
    spawner.extra_labels = {**spawner.usual_labels, **computes["labels"]}
    spawner.environment = {**spawner.usual_environment, **computes["environment"], **stack}


def configure(c: Any) -> None:
    """Complete the chart's configuration from the settings file and the Secret."""
    settings = json.loads(SETTINGS.read_text(encoding="utf-8"))
    limits = configuration.limits(settings)
    offer = settings["notebooks"]
    configuration.log_in(c, settings, SECRETS)
    configuration.tokens(c)
    # the chart has its requests made by curl's library, which has a trust of its own
    c.OAuthenticator.http_request_kwargs = {"ca_certs": os.environ["SSL_CERT_FILE"]}
    c.JupyterHub.load_roles = [*c.JupyterHub.get("load_roles", []), *configuration.roles(settings)]
    # the chart answers before a server is begun; a refusal has to be part of the answer
    c.JupyterHub.tornado_settings = {**c.JupyterHub.get("tornado_settings", {}), "slow_spawn_timeout": REFUSAL_SECONDS}
    c.JupyterHub.spawner_class = NotebookPodSpawner
    NotebookPodSpawner.limits = limits
    NotebookPodSpawner.settings = settings
    NotebookPodSpawner.usual_environment = {
        **c.KubeSpawner.get("environment", {}),
        **settings["environment"],
        "CANTIERE_CA": (SECRETS / "ca.pem").read_text(),
        "HOME": offer["home"],
    }
    NotebookPodSpawner.usual_labels = dict(c.KubeSpawner.get("extra_labels", {}))
    NotebookPodSpawner.usual_tolerations = tuple(c.KubeSpawner.get("tolerations", ()))
    NotebookPodSpawner.usual_selector = dict(c.KubeSpawner.get("node_selector", {}))
    c.Spawner.options_form = lambda spawner: form.page(spawner.offer())
    c.Spawner.options_from_form = lambda answers, spawner: form.parse(answers, spawner.offer())
    c.Spawner.apply_user_options = apply
    c.Spawner.cmd = ["notebook"]
    c.Spawner.notebook_dir = offer["home"]
    c.KubeSpawner.working_dir = offer["home"]
    c.KubeSpawner.extra_container_config = {"command": ["/bin/sh", "-c", LAUNCH]}
    c.KubeSpawner.container_security_context = {
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
