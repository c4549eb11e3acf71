"""Which of their types becomes which of ours, property by property."""

from __future__ import annotations

from collections.abc import Mapping

from cantiere.indigo import convert
from cantiere.indigo.model import Carry, Mapped, Part, Theirs

N = "cantiere.nodes."
T = "tosca.nodes."
CONTROL, WORKER = "control-plane", "worker"

MACHINE = Mapped(
    parts=(
        Part(
            f"{N}MachinePool",
            (
                Carry("scalable.count", "count"),
                Carry("scalable.removal_list", "removal_list"),
                Carry("host.num_cpus", "num_cpus"),
                Carry("host.mem_size", "mem_size", convert.size),
                Carry("host.disk_size", "disk_size", convert.size),
                Carry("host.num_gpus", "num_gpus"),
            ),
        ),
    ),
    left={
        "os_users": "the role base makes accounts, from its variable base_users",
        "tags": "labels are those of the machine pool",
        "instance_name": "machines have the name of their pool and a number",
        "host.instance_type": "the size is asked for by cores, memory and disk",
        "host.gpu_model": "the site's machines say which GPU they have",
        "host.gpu_vendor": "GPUs are NVIDIA's",
        "os.image": "the site says which image its machines have",
        "endpoint.ports": "it is on no public network, so that only machines of the facility reach its ports",
        "endpoint.dns_name": "machines have the name of their pool and a number",
        "endpoint.additional_dns_names": "names are those of the platform's domain",
        "endpoint.tls": "cert-manager makes the certificates",
    },
    taken=frozenset({"fail2ban_enabled", "fail2ban_bantime", "fail2ban_maxretry", "fail2ban_jail_config"}),
)
"""What machines become; SSH servers shut out who connects too often whatever fail2ban is told."""


HUB_CLIENT = {"client_secret": "env:IAM_CLIENT_SECRET"}
"""Where the secret of a hub's client comes from at an IAM outside, which registers no client for us."""

SECRET = "secrets are generated, `cantiere secrets` shows them"
OWN_VERSION = "versions are those that artifacts.yaml pins"
MADE = "no role is fetched"
LOCAL = "volumes are folders of the machines, or Longhorn's where csi_driver asks for it"


def _longhorn(node: Theirs) -> bool:
    return bool(node.value("csi_driver") == "Longhorn")


def _external(url: str, client: str) -> Part:
    carries = (Carry(url, "issuer_url", convert.issuer), Carry(client, "client_id"))
    return Part(f"{N}IAM", carries, HUB_CLIENT, "iam", lambda node: node.given(url))


def _certificates(kind: str, mail: str) -> tuple[Part, ...]:
    """Who signs: Let's Encrypt where there is an address that it can write to, each certificate itself, else the facility's own CA."""

    def acme(node: Theirs) -> bool:
        return node.given(mail) and not alone(node)

    def alone(node: Theirs) -> bool:
        return str(node.value(kind)) == "self-signed"

    def neither(node: Theirs) -> bool:
        return not acme(node) and not alone(node)

    signer = Carry(kind, "kind")
    return (
        Part(f"{N}Certificates", (Carry(mail, "email"), signer), name="certificates", when=acme),
        Part(f"{N}Certificates", (signer,), name="certificates", when=alone),
        Part(f"{N}Certificates", name="certificates", when=neither),
    )


LOCAL_VOLUMES = Part(f"{N}BlockStorage", fixed={"driver": "local-path"}, name="volumes", fallback=True)
METRICS = Part(f"{N}Autoscaling", (), {"prometheus_adapter": False, "keda": False}, "metrics")
TRAEFIK = {"driver": "traefik", "nginx_annotations": True, "service_type": "NodePort"}
GPUS = f"{N}GPUs"

_FRONT = {
    "admin_username": "log-in is by the kubeconfig of `cantiere kubectl`",
    "admin_token": SECRET,
    "version": OWN_VERSION,
    "kube_version": OWN_VERSION,
    "nginx_ingress_helm_version": OWN_VERSION,
    "cert_manager_helm_version": OWN_VERSION,
    "dashboard_helm_version": OWN_VERSION,
    "prometheus_helm_version": OWN_VERSION,
    "kube_eagle_helm_version": OWN_VERSION,
    "grafana_helm_version": OWN_VERSION,
    "cri_runtime": "containerd runs the containers",
    "install_kubeapps": "there is no Kubeapps; releases are nodes of the template",
    "install_dashboard": "there is no dashboard; `cantiere kubectl` and Grafana show the cluster",
    "kube_deploy_dashboard": "there is no dashboard; `cantiere kubectl` and Grafana show the cluster",
    "install_yunikorn": "jobs are queued by HTCondor or Kueue",
    "install_nfs_client": LOCAL,
    "nfs_client_path": LOCAL,
    "etcd_in_RAM": "etcd is kept on disk and backed up",
    "hybrid": "all machines are of one site",
    "tls_certificates": "cert-manager makes the certificates",
    "use_public_ip": "the site says which address the cluster has",
    "kubelet_extra_args": "the role kubernetes configures the kubelet",
    "gpu_model": "the site's machines say which GPU they have",
}
"""Properties of front ends and workers of Kubernetes that are not carried over, and what is in their place."""

_ADDRESSES = frozenset({"front_end_ip", "public_front_end_ip", "wn_ips", "master_ip", "master_ips", "server_ip"})

KUBERNETES = Mapped(
    parts=(
        Part(f"{N}Platform", (Carry("public_dns_name", "domain", convert.domain),), name="platform"),
        Part(f"{N}Ingress", (Carry("install_gateway_api", "gateway_api"),), TRAEFIK, "ingress", lambda node: node.given("install_ingress")),
        Part(
            f"{N}Certificates",
            (Carry("cert_user_email", "email"),),
            {"kind": "letsencrypt-prod"},
            "certificates",
            lambda node: node.given("cert_manager"),
        ),
        Part(f"{N}GPUs", name="gpus", when=lambda node: node.given("nvidia_support")),
        Part(f"{N}Autoscaling", METRICS.carries, METRICS.fixed, "metrics", lambda node: node.given("install_metrics")),
        Part(f"{N}BlockStorage", (Carry("csi_driver", "driver", convert.driver),), name="volumes", when=_longhorn),
        LOCAL_VOLUMES,
    ),
    roles=(CONTROL,),
    left={
        **_FRONT,
        "csi_driver": LOCAL,
        "ingress_type": "Traefik is the ingress; it understands what was written for nginx",
        "cert_manager_challenge": "the challenge is http-01; write a node of type cantiere.nodes.Certificates for dns-01",
    },
    taken=_ADDRESSES | {"install_ingress", "cert_manager", "install_metrics", "install_local_path_provisioner", "nvidia_support"},
)

DODAS = Mapped(
    parts=(
        Part(f"{N}Platform", (Carry("kube_master_dns_name", "domain", convert.domain),), name="platform"),
        Part(f"{N}Ingress", fixed=TRAEFIK, name="ingress"),
        *_certificates("cert_manager_type", "cert_manager_email"),
        Part(f"{N}DNS", (Carry("domain", "suffix"),), {"mode": "address"}, "names", lambda node: not node.given("kube_master_dns_name")),
        Part(f"{N}Monitoring", name="monitoring"),
        Part(f"{N}GPUs", name="gpus", when=lambda node: node.given("enable_gpu")),
        METRICS,
        LOCAL_VOLUMES,
    ),
    roles=(CONTROL,),
    left={**_FRONT, "cert_manager_type": "the facility's own CA signs: Let's Encrypt needs cert_manager_email"},
    taken=_ADDRESSES | {"enable_gpu"},
)

KUBERNETES_WORKER = Mapped(
    parts=(Part(f"{N}GPUs", name="gpus", when=lambda node: node.given("nvidia_support") or node.given("enable_gpu")),),
    roles=(WORKER,),
    machines=(Carry("nodelabel", "labels", convert.labels),),
    left=_FRONT,
    taken=_ADDRESSES | {"nvidia_support", "enable_gpu", "csi_driver"},
)

POOL_LEFT = {
    "htcondor_password": SECRET,
    "cluster_secret": SECRET,
    "htcondor_version": OWN_VERSION,
    "nfs": "jobs' files are moved by HTCondor",
    "condor_host": "the name of the central manager is the service's own",
    **{f"{part}_{what}": "the image is ours" for part in ("cm", "schedd", "wn") for what in ("image", "tag")},
}

_HELM_LEFT = {
    name: "releases are brought by helmfile"
    for name in ("kubeconfig_path", "inline_options", "helm_version", "role_name", "repository_name")
}
_OWN_CHART = {name: "the chart is ours" for name in ("chart", "repos", "values_file", "values_url", "name")}

ELASTIC = Mapped(
    machines=(Carry("wn.wn.max_instances", "max_count"),),
    machines_of=("wn", "host"),
    left={
        "config_options": "`cantiere scale --auto` takes machines away that idle for the pool's idle_time",
        "kube_wn_cpus": "machines that are added are like the others of their pool",
        "kube_wn_mem": "machines that are added are like the others of their pool",
        "powermanager_plugin": "the site's provider makes machines",
        "im_auth": "the site's provider makes machines",
        "kube_token": SECRET,
        "secret_token": SECRET,
    },
)

TABLE: Mapping[str, Mapped] = {
    f"{T}Compute": MACHINE,
    f"{T}indigo.LRMS.FrontEnd.Kubernetes": KUBERNETES,
    f"{T}DODAS.FrontEnd.Kubernetes": DODAS,
    f"{T}indigo.LRMS.WorkerNode.Kubernetes": KUBERNETES_WORKER,
    f"{T}DODAS.WorkerNode.Kubernetes": KUBERNETES_WORKER,
    f"{T}indigo.LRMS.FrontEnd.HTCondor": Mapped(
        parts=(
            Part(f"{N}HTCondorPool", name="pool"),
            LOCAL_VOLUMES,
        ),
        roles=(CONTROL,),
        left=POOL_LEFT,
        taken=_ADDRESSES | {"wn_num"},
    ),
    f"{T}indigo.LRMS.WorkerNode.HTCondor": Mapped(
        parts=(
            Part(
                f"{N}HTCondorPool",
                (
                    Carry("host.scalable.count", "workers"),
                    Carry("host.host.num_cpus", "cpus_per_worker"),
                    Carry("host.host.mem_size", "memory_per_worker", convert.memory),
                ),
                {"requested_cpus_per_worker": 0.25},
                "pool",
            ),
        ),
        roles=(WORKER,),
        left=POOL_LEFT,
        taken=_ADDRESSES,
    ),
    f"{T}DODAS.HelmInstall.HTCondor": Mapped(
        parts=(Part(f"{N}HTCondorPool", name="pool"), _external("iam_server", "")),
        left={**_HELM_LEFT, **_OWN_CHART, **POOL_LEFT},
    ),
    f"{T}indigo.htcondorMini": Mapped(parts=(Part(f"{N}HTCondorPool", fixed={"workers": 1}, name="pool"),), roles=(CONTROL, WORKER)),
    f"{T}DODAS.HelmInstall.Spark": Mapped(
        parts=(
            Part(f"{N}SparkOperator", name="spark"),
            Part(
                f"{N}JupyterHub",
                (Carry("iam_groups", "allowed_groups", convert.groups), Carry("iam_admin_groups", "admin_groups", convert.groups)),
                name="hub",
            ),
            _external("iam_url", ""),
        ),
        left={
            **_HELM_LEFT,
            **_OWN_CHART,
            "jupyter_token": "users log in at the IAM",
            "iam_subject": "who may log in is said by groups",
            "externalIp": "the site says which address the cluster has",
            "s3_endpoint": "the store is a node of its own, cantiere.nodes.ObjectStore",
            "s3_bucket": "the store is a node of its own, cantiere.nodes.ObjectStore",
        },
    ),
    f"{T}DODAS.Kubernetes.LongHorn": Mapped(
        parts=(Part(f"{N}BlockStorage", fixed={"driver": "longhorn"}, name="volumes", when=lambda node: node.given("is_enabled")),),
        left={**_HELM_LEFT, **_OWN_CHART},
        taken=frozenset({"is_enabled"}),
    ),
    f"{T}DODAS.single-node-jupyterhub": Mapped(
        parts=(
            Part(
                f"{N}JupyterHub",
                (
                    Carry("jupyter_images", "images", convert.images),
                    Carry("iam_groups", "allowed_groups", convert.groups),
                    Carry("iam_admin_groups", "admin_groups", convert.groups),
                    Carry("host.host.num_cpus", "max_cpus"),
                    Carry("host.host.mem_size", "max_memory", convert.memory),
                ),
                name="hub",
            ),
            _external("iam_url", "iam_client_id"),
            Part(f"{N}Platform", (Carry("dns_name", "domain", convert.domain),), name="platform"),
            Part(f"{N}Ingress", fixed=TRAEFIK, name="ingress"),
            *_certificates("cert_manager_type", "contact_email"),
            Part(f"{N}DNS", fixed={"mode": "address"}, name="names", when=lambda node: not node.given("dns_name")),
            Part(f"{N}Monitoring", name="monitoring", when=lambda node: node.given("monitoring")),
            Part(f"{N}GPUs", name="gpus", when=lambda node: node.given("jupyter_use_gpu")),
            Part(
                f"{N}CVMFS",
                (Carry("cvmfs_repos", "repositories", convert.repository),),
                {"enabled": True, "driver": "csi"},
                "software",
                lambda node: node.given("cvmfs_repos"),
            ),
            LOCAL_VOLUMES,
        ),
        roles=(CONTROL, WORKER),
        left={
            "iam_token": "the client's secret comes from the environment, IAM_CLIENT_SECRET",
            "iam_subject": "who may log in is said by groups",
            "monitoring_image": "the image is ours",
            "jupyter_hub_image": "the image is ours",
            "jupyter_post_start_cmd": "nothing is run in notebooks; put it into the image",
            "jupyter_host_mount_dir": "homes are volumes of their own",
            "jupyterlab_collaborative": "there is no notebook that users share",
            "gpu_model": "the site's machines say which GPU they have",
            "gpu_partition_flavor": "a machine's label nvidia.com/mig.config cuts its GPUs",
            "role_name": MADE,
        },
        taken=frozenset(
            {"install_docker", "prepare_jupyter", "run_jupyter", "monitoring", "jupyter_use_gpu", "jupyterlab_collaborative_use_gpu"}
        ),
    ),
    f"{T}indigo.JupyterHub": Mapped(
        parts=(Part(f"{N}JupyterHub", name="hub"),),
        left={"spawner": "notebooks are pods", "authenticator": "users log in at the IAM"},
    ),
    f"{T}indigo.XCache": Mapped(
        parts=(
            Part(
                f"{N}XRootDCache",
                (
                    Carry("local_storage.size", "volume_size", convert.size),
                    Carry("local_storage.size", "high_watermark", convert.share(0.8)),
                    Carry("local_storage.size", "low_watermark", convert.share(0.7)),
                ),
            ),
            LOCAL_VOLUMES,
        ),
        left={
            "server_image": "the image is ours",
            **{f"marathon_{part}": "there is no Marathon" for part in ("username", "password", "protocol", "port")},
        },
        taken=_ADDRESSES | {"orchestrator", "redirector_ip"},
    ),
    f"{T}indigo.ElasticCluster": ELASTIC,
    f"{T}ec3.ElasticCluster": ELASTIC,
    f"{T}indigo.iam.client": Mapped(
        parts=(_external("issuer", ""),),
        left={
            "owner": "no client is registered: its secret comes from the environment, IAM_CLIENT_SECRET",
            "scopes": "no client is registered: its secret comes from the environment, IAM_CLIENT_SECRET",
        },
        taken=frozenset({"client_id", "registration_access_token"}),
    ),
    f"{T}indigo.S3Bucket": Mapped(
        parts=(
            Part(
                f"{N}ObjectStore",
                (Carry("s3_url", "endpoint"), Carry("bucket_name", "buckets", convert.words)),
                {"driver": "external", "access_key": "env:S3_ACCESS_KEY", "secret_key": "env:S3_SECRET_KEY"},
                "store",
            ),
        ),
        left={
            "aws_access_key": "it comes from the environment, S3_ACCESS_KEY",
            "aws_secret_key": "it comes from the environment, S3_SECRET_KEY",
            "enable_versioning": "the bucket has to be there already",
        },
    ),
    f"{T}ec3.DNSRegistry": Mapped(
        parts=(Part(f"{N}DNS", (Carry("domain_name", "zone"),), {"mode": "wildcard"}, "names"),),
        left={
            name: "nothing writes records; make the zone's wildcard record, or use cantiere.nodes.DNS with external-dns"
            for name in ("record_name", "dns_service", "dns_service_credentials")
        },
    ),
    f"{T}network.Network": Mapped(instead="the site says which network its machines are in"),
    f"{T}network.Port": Mapped(instead="the site says which network its machines are in"),
    f"{T}BlockStorage": Mapped(instead="the disk of the machines, or a volume of the service that it belongs to"),
    f"{T}im.AnsibleHost": Mapped(instead="machines that are there are listed by a site of the provider hosts"),
}
"""Their type to what becomes of it. A type that is not here, nor any that it derives from, is not carried out."""
