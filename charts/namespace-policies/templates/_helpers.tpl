{{- define "namespace-policies.labels" -}}
app.kubernetes.io/name: namespace-policies
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
