"""JupyterHub of a facility. Everything that differs between facilities comes in CANTIERE_SETTINGS, every secret in a file."""

import hashlib
import json
import os
import sys
from pathlib import Path

from cantiere_hub import discovery, form, spawner
from cantiere_hub.authenticator import FacilityAuthenticator, groups
from cantiere_hub.handlers import SCOPE, TokenHandler

c = get_config()  # noqa: F821 - JupyterHub gives it

SETTINGS = json.loads(os.environ["CANTIERE_SETTINGS"])
NOTEBOOKS = SETTINGS["notebooks"]
SECRETS = Path(os.environ["HUB_SECRETS"])
ISSUER = discovery.discover(SETTINGS["issuer"])

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
c.CryptKeeper.keys = [hashlib.sha256((SECRETS / "crypt-key").read_bytes()).digest()]

# log-in
c.JupyterHub.authenticator_class = FacilityAuthenticator
c.OAuthenticator.client_id = SETTINGS["client_id"]
c.OAuthenticator.client_secret = (SECRETS / "client-secret").read_text().strip()
c.OAuthenticator.basic_auth = discovery.by_header(ISSUER)
c.OAuthenticator.oauth_callback_url = f"{SETTINGS['url']}/hub/oauth_callback"
c.OAuthenticator.authorize_url = ISSUER["authorization_endpoint"]
c.OAuthenticator.token_url = ISSUER["token_endpoint"]
c.OAuthenticator.userdata_url = ISSUER["userinfo_endpoint"]
c.OAuthenticator.scope = discovery.offered(SETTINGS["scopes"], ISSUER)
c.OAuthenticator.enable_pkce = True
c.OAuthenticator.username_claim = "preferred_username"
c.OAuthenticator.manage_groups = True
c.OAuthenticator.auth_state_groups_key = groups
c.OAuthenticator.allow_all = not SETTINGS["allowed_groups"]
c.OAuthenticator.allowed_groups = set(SETTINGS["allowed_groups"])
c.OAuthenticator.admin_groups = set(SETTINGS["admin_groups"])
c.OAuthenticator.enable_auth_state = True
c.OAuthenticator.refresh_pre_spawn = True
c.OAuthenticator.auth_refresh_strict = True
c.OAuthenticator.login_service = "the facility's IAM"

# a server may ask for its own user's access token, and nobody for another's
c.JupyterHub.custom_scopes = {SCOPE: {"description": "Get the user's access token for the facility's services"}}
c.JupyterHub.extra_handlers = [(r"/api/cantiere/token", TokenHandler)]
c.JupyterHub.load_roles = [
    {"name": "user", "scopes": ["self", f"{SCOPE}!user"]},
    {"name": "server", "scopes": ["users:activity!user", "access:servers!server", f"{SCOPE}!user"]},
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
LIMITS = form.Limits(
    images=dict(zip(NOTEBOOKS["images"], SETTINGS["titles"], strict=True)),
    **{key: NOTEBOOKS[key] for key in ("image_pattern", "max_cpus", "max_memory", "max_gpus")},
)
spawner.NotebookSpawner.limits = LIMITS
spawner.NotebookSpawner.gpu_driver = NOTEBOOKS["gpu_driver"]
c.JupyterHub.spawner_class = spawner.NotebookSpawner
c.Spawner.options_form = form.page(LIMITS)
c.Spawner.options_from_form = lambda answers: form.parse(answers, LIMITS)
c.Spawner.apply_user_options = spawner.apply
c.Spawner.hub_connect_url = SETTINGS["url"]
c.Spawner.environment = {
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
