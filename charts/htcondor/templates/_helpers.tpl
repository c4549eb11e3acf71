{{/* Labels by which a component's pods are found. Argument: dict root component. */}}
{{- define "htcondor.selector" -}}
app.kubernetes.io/name: htcondor
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "htcondor.labels" -}}
{{ include "htcondor.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "htcondor.image" -}}
{{- $tag := required "image.tag is needed: there is no default tag" .tag -}}
{{ .repository }}:{{ $tag }}
{{- end }}

{{/* What every role is told and the release's name and namespace decide. Gives JSON. */}}
{{- define "htcondor.known" -}}
{{- $domain := printf "%s.svc.%s" .Release.Namespace .Values.clusterDomain -}}
{{- $ap := printf "%s-ap.%s" .Release.Name $domain -}}
{{- dict "domain" $domain "collector" (printf "%s-cm.%s" .Release.Name $domain) "schedd_name" $ap "audience" (printf "https://%s" $ap)
  "identities" (dict
    "central_manager" (printf "%s-cm@%s" .Release.Name $domain)
    "access_point" (printf "%s-ap@%s" .Release.Name $domain)
    "workers" (printf "%s-worker-*@%s" .Release.Name $domain)
    "users" (printf "u_*@%s" $domain)) | toJson -}}
{{- end }}

{{/* Settings of a daemon as JSON. Argument: dict root role settings hostname class keys. */}}
{{- define "htcondor.settings" -}}
{{- $known := include "htcondor.known" .root | fromJson -}}
{{- $base := dict "pod" (dict "hostname" .hostname "forwarding_host" "" "private_network" (printf "%s.%s" .root.Release.Name .root.Release.Namespace) "worker_class" .class) -}}
{{- range .keys }}{{- $_ := set $base . (get $known .) }}{{- end -}}
{{- if eq .role "central-manager" }}
{{- /* its own daemons come by the Service's address, known by the file system */ -}}
{{- $_ := set $base.identities "central_manager" (printf "$(LOCAL_ADMINISTRATORS), %s" $base.identities.central_manager) }}
{{- end -}}
{{- mustMergeOverwrite $base (deepCopy .settings) | mustToJson -}}
{{- end }}

{{/* Volume with everything that a daemon finds in /run/secrets. Argument: dict root secret tls parts. */}}
{{- define "htcondor.secrets" -}}
- name: secrets
  projected:
    defaultMode: 0400
    sources:
      - secret:
          name: {{ .secret }}
      {{- if and .tls .root.Values.certificate.issuerRef }}
      - secret:
          name: {{ .tls }}
          items:
            {{- range .parts }}
            - {key: {{ index . 0 }}, path: {{ index . 1 }}}
            {{- end }}
      {{- end }}
{{- end }}

{{/* Root switches between accounts, and may do nothing else that a container can be kept from. */}}
{{- define "htcondor.securityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
  add: [CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID]
{{- end }}

{{- define "htcondor.probes" -}}
startupProbe:
  exec: {command: [/usr/libexec/cantiere/probe]}
  periodSeconds: 5
  timeoutSeconds: 20
  failureThreshold: 36
readinessProbe:
  exec: {command: [/usr/libexec/cantiere/probe]}
  periodSeconds: 30
  timeoutSeconds: 20
  failureThreshold: 4
{{- end }}

{{/* One class with the defaults under it, as JSON. Argument: dict root class. */}}
{{- define "htcondor.class" -}}
{{- mustMergeOverwrite (deepCopy .root.Values.execute.defaults) (deepCopy .class) | mustToJson -}}
{{- end }}
