{{- define "devel-iam.name" -}}
{{- default .Release.Name .Values.fullnameOverride -}}
{{- end -}}

{{- define "devel-iam.selector" -}}
app.kubernetes.io/name: devel-iam
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: iam
{{- end -}}

{{- define "devel-iam.labels" -}}
{{ include "devel-iam.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "devel-iam.host" -}}
{{ include "devel-iam.name" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end -}}
