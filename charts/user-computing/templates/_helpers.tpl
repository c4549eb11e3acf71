{{- define "user-computing.labels" -}}
app.kubernetes.io/name: user-computing
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* Pods of the computations, as a peer of a policy in any namespace. */}}
{{- define "user-computing.peer" -}}
namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .Release.Namespace }}}}
{{- end -}}

{{/* TCP ports of a rule. */}}
{{- define "user-computing.ports" -}}
{{- range . }}
- {protocol: TCP, port: {{ . }}}
{{- end }}
{{- end -}}
