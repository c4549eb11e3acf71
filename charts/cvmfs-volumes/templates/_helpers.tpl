{{- define "cvmfs-volumes.selector" -}}
app.kubernetes.io/name: cvmfs-volumes
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "cvmfs-volumes.labels" -}}
{{ include "cvmfs-volumes.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}
