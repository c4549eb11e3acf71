{{/* Labels by which a component's pods are found. Argument: list root component. */}}
{{- define "jupyterhub.selector" -}}
app: jupyterhub
release: {{ (index . 0).Release.Name }}
component: {{ index . 1 }}
{{- end }}

{{- define "jupyterhub.podLabels" -}}
{{ include "jupyterhub.selector" . }}
app.kubernetes.io/name: jupyterhub
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "jupyterhub.labels" -}}
{{ include "jupyterhub.podLabels" . }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end }}

{{/* Egress rules as the real chart makes them of its switches. Arguments: list rules egress. */}}
{{- define "jupyterhub.egress" -}}
{{- $rules := index . 0 -}}
{{- if or $rules.dnsPortsCloudMetadataServer $rules.dnsPortsKubeSystemNamespace $rules.dnsPortsPrivateIPs }}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
  to:
    {{- if $rules.dnsPortsCloudMetadataServer }}
    - ipBlock: {cidr: 169.254.169.254/32}
    {{- end }}
    {{- if $rules.dnsPortsKubeSystemNamespace }}
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
    {{- end }}
    {{- if $rules.dnsPortsPrivateIPs }}
    - ipBlock: {cidr: 10.0.0.0/8}
    - ipBlock: {cidr: 172.16.0.0/12}
    - ipBlock: {cidr: 192.168.0.0/16}
    {{- end }}
{{- end }}
{{- if $rules.nonPrivateIPs }}
- to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.169.254/32]}}]
{{- end }}
{{- if $rules.privateIPs }}
- to: [{ipBlock: {cidr: 10.0.0.0/8}}, {ipBlock: {cidr: 172.16.0.0/12}}, {ipBlock: {cidr: 192.168.0.0/16}}]
{{- end }}
{{- if $rules.cloudMetadataServer }}
- to: [{ipBlock: {cidr: 169.254.169.254/32}}]
{{- end }}
{{- with index . 1 }}
{{ toYaml . }}
{{- end }}
{{- end }}
