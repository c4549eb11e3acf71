{{- define "condor-exporter.selector" -}}
app.kubernetes.io/name: condor-exporter
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "condor-exporter.labels" -}}
{{ include "condor-exporter.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* What both containers have. */}}
{{- define "condor-exporter.container" -}}
image: {{ .Values.image.repository }}:{{ required "image.tag is needed: there is no default tag" .Values.image.tag }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
resources: {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
{{- end }}
