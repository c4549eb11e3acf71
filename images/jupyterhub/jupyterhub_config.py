"""JupyterHub of a facility. Everything that differs between facilities comes in CANTIERE_SETTINGS, every secret in a file."""

import json
import os
import sys
from pathlib import Path

from cantiere_hub import configuration, form, spawner

c = get_config()  # noqa: F821 - JupyterHub gives it

SETTINGS = json.loads(os.environ["CANTIERE_SETTINGS"])
NOTEBOOKS = SETTINGS["notebooks"]
SECRETS = Path(os.environ["HUB_SECRETS"])

# the hub itself: only its proxy is reached from outside, over TLS; notebook servers live on while it is restarted
c.JupyterHub.bind_url = "https://:8000"
c.JupyterHub.ssl_cert = str(SECRETS / "hostcert.pem")
c.JupyterHub.ssl_key = str(SECRETS / "hostkey.pem")
c.JupyterHub.hub_bind_url = "http://127.0.0.1:8081"
c.JupyterHub.db_url = "sqlite:////srv/jupyterhub/jupyterhub.sqlite"
c.JupyterHub.upgrade_db = True
c.JupyterHub.cookie_secret_file = "/srv/jupyterhub/cookie_secret"
c.JupyterHub.cleanup_servers = False
c.ConfigurableHTTPProxy.command = ["/opt/proxy/configurable-http-proxy"]
c.ConfigurableHTTPProxy.pid_file = "/run/jupyterhub/proxy.pid"

# log-in, and tokens for notebook servers
configuration.log_in(c, SETTINGS, SECRETS)
configuration.tokens(c)
c.JupyterHub.load_roles = [
    *configuration.roles(SETTINGS),
    {
        "name": "idle-culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["idle-culler"],
    },
]
c.JupyterHub.services = [
    {"name": "idle-culler", "command": [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={SETTINGS['idle_timeout']}"]}
]

# notebook servers
LIMITS = configuration.limits(SETTINGS)
spawner.NotebookSpawner.limits = LIMITS
spawner.NotebookSpawner.gpu_driver = NOTEBOOKS["gpu_driver"]
c.JupyterHub.spawner_class = spawner.NotebookSpawner
c.Spawner.options_form = form.page(LIMITS)
c.Spawner.options_from_form = lambda answers: form.parse(answers, LIMITS)
c.Spawner.apply_user_options = spawner.apply
c.Spawner.hub_connect_url = SETTINGS["url"]
spawner.NotebookSpawner.usual_environment = {
    **SETTINGS["environment"],
    "CANTIERE_CA": (SECRETS / "ca.pem").read_text(),
    "HOME": NOTEBOOKS["home"],
}
c.Spawner.cmd = ["notebook"]
c.Spawner.ip = "0.0.0.0"
c.Spawner.notebook_dir = NOTEBOOKS["home"]
c.Spawner.default_url = "/lab"
c.Spawner.start_timeout = 300
c.Spawner.http_timeout = 60
c.DockerSpawner.client_kwargs = {"base_url": f"unix://{SETTINGS['engine_socket']}", "timeout": 120}
c.DockerSpawner.name_template = f"{NOTEBOOKS['prefix']}-jupyter-{{username}}"
c.DockerSpawner.allowed_images = "*"
c.DockerSpawner.remove = True
c.DockerSpawner.use_internal_ip = True
c.DockerSpawner.network_name = NOTEBOOKS["network"]
c.DockerSpawner.volumes = {f"{NOTEBOOKS['prefix']}-home-{{username}}": NOTEBOOKS["home"]}
if NOTEBOOKS["cvmfs"]:
    c.DockerSpawner.volumes[NOTEBOOKS["cvmfs"]] = {"bind": "/cvmfs", "mode": "ro", "propagation": "rslave"}
c.DockerSpawner.extra_host_config = spawner.host_settings(NOTEBOOKS["processes"])
c.DockerSpawner.extra_create_kwargs = {
    "entrypoint": ["/bin/sh", "-c", spawner.LAUNCH],
    "user": NOTEBOOKS["user"],
    "working_dir": NOTEBOOKS["home"],
    "labels": {"cantiere.facility": NOTEBOOKS["prefix"], "cantiere.notebook": "{username}"},
}
