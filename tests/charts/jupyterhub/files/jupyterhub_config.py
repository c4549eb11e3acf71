"""The hub's configuration of the stand-in: the chart's values become traits, as in the real chart's own configuration file."""

import os
from pathlib import Path

import yaml
from tornado.httpclient import AsyncHTTPClient

c = get_config()  # noqa: F821 - JupyterHub gives it

SECRET = Path("/usr/local/etc/jupyterhub/secret")
VALUES = yaml.safe_load((SECRET / "values.yaml").read_text())


def value(path, default=None):
    """A value of the chart by its dotted path."""
    found = VALUES
    for key in path.split("."):
        if not isinstance(found, dict) or key not in found:
            return default
        found = found[key]
    return default if found is None else found


name = value("fullnameOverride")
AsyncHTTPClient.configure("tornado.curl_httpclient.CurlAsyncHTTPClient")

# the hub and its proxy in another pod
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.last_activity_interval = 60
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
c.JupyterHub.db_url = "sqlite:///jupyterhub.sqlite"
c.JupyterHub.hub_bind_url = "http://:8081"
c.JupyterHub.hub_connect_url = f"http://{name}-hub:8081"
c.JupyterHub.cookie_secret = (SECRET / "hub.config.JupyterHub.cookie_secret").read_text()
c.ConfigurableHTTPProxy.api_url = f"http://{name}-proxy-api:8001"
c.ConfigurableHTTPProxy.should_start = False

# notebooks
c.KubeSpawner.namespace = os.environ["POD_NAMESPACE"]
c.KubeSpawner.common_labels = {
    "app": "jupyterhub",
    "release": value("Release.Name"),
    "app.kubernetes.io/name": "jupyterhub",
    "app.kubernetes.io/instance": value("Release.Name"),
    "app.kubernetes.io/managed-by": "kubespawner",
}
c.KubeSpawner.image = f"{value('singleuser.image.name')}:{value('singleuser.image.tag')}"
c.KubeSpawner.uid = int(value("singleuser.uid"))
c.KubeSpawner.fs_gid = int(value("singleuser.fsGid"))
c.KubeSpawner.allow_privilege_escalation = value("singleuser.allowPrivilegeEscalation", False)
c.KubeSpawner.start_timeout = int(value("singleuser.startTimeout", 300))
c.KubeSpawner.extra_labels = value("singleuser.extraLabels", {})
c.KubeSpawner.extra_annotations = value("singleuser.extraAnnotations", {})
c.KubeSpawner.extra_pod_config = value("singleuser.extraPodConfig", {})
c.Spawner.default_url = value("singleuser.defaultUrl", "")

# their volumes
c.KubeSpawner.storage_pvc_ensure = True
c.KubeSpawner.storage_class = value("singleuser.storage.dynamic.storageClass")
c.KubeSpawner.storage_access_modes = value("singleuser.storage.dynamic.storageAccessModes")
c.KubeSpawner.storage_capacity = value("singleuser.storage.capacity")
HOME = "volume-{user_server}"
c.KubeSpawner.volumes = {
    HOME: {"name": HOME, "persistentVolumeClaim": {"claimName": "{pvc_name}"}},
    **value("singleuser.storage.extraVolumes", {}),
}
c.KubeSpawner.volume_mounts = {
    HOME: {"name": HOME, "mountPath": value("singleuser.storage.homeMountPath")},
    **value("singleuser.storage.extraVolumeMounts", {}),
}

# servers that nobody uses are stopped
c.JupyterHub.services = []
c.JupyterHub.load_roles = []
if value("cull.enabled"):
    c.JupyterHub.services.append(
        {
            "name": "jupyterhub-idle-culler",
            "command": [
                *("python3", "-m", "jupyterhub_idle_culler", "--url=http://localhost:8081/hub/api"),
                f"--timeout={int(value('cull.timeout'))}",
                f"--cull-every={int(value('cull.every'))}",
            ],
        }
    )
    c.JupyterHub.load_roles.append(
        {
            "name": "jupyterhub-idle-culler",
            "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
            "services": ["jupyterhub-idle-culler"],
        }
    )

for key, service in value("hub.services", {}).items():
    token = SECRET.with_name("existing-secret") / f"hub.services.{key}.apiToken"
    c.JupyterHub.services.append({"name": key, **service, "api_token": token.read_text().strip()})

for section, traits in value("hub.config", {}).items():
    c[section].update(traits)
for _, code in sorted(value("hub.extraConfig", {}).items()):
    exec(code)
