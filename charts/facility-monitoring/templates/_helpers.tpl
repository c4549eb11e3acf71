{{- define "facility-monitoring.labels" -}}
app.kubernetes.io/name: facility-monitoring
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
