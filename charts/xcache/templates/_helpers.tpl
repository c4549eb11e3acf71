{{- define "xcache.name" -}}
{{- default .Release.Name .Values.fullnameOverride -}}
{{- end -}}

{{- define "xcache.selector" -}}
app.kubernetes.io/name: xcache
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "xcache.labels" -}}
{{ include "xcache.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "xcache.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end -}}

{{- /* bytes of a Kubernetes quantity */ -}}
{{- define "xcache.bytes" -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- mul (regexFind "^[0-9]+" . | int64) (get $units (regexFind "[A-Za-z]*$" .)) -}}
{{- end -}}

{{- define "xcache.locked" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "xcache.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .Values.user }}
runAsGroup: {{ .Values.user }}
fsGroup: {{ .Values.user }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- /* the image's list of authorities, where the start may add the facility's own */ -}}
{{- define "xcache.trust" -}}
- name: trust
  image: {{ include "xcache.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [cp, /etc/ssl/certs/ca-certificates.crt, /trust/]
  securityContext: {{- include "xcache.locked" . | nindent 4 }}
  resources:
    requests: {cpu: 10m, memory: 16Mi}
    limits: {memory: 64Mi}
  volumeMounts:
    - {name: scratch, mountPath: /trust, subPath: certs}
{{- end -}}

{{- /* what a daemon of the image writes, apart from its data: (list root, name of its own files) */ -}}
{{- define "xcache.mounts" -}}
{{- $own := index . 1 -}}
- {name: secrets, mountPath: /run/secrets, readOnly: true}
- {name: scratch, mountPath: /etc/ssl/certs, subPath: certs}
- {name: scratch, mountPath: /usr/share/cantiere, subPath: {{ $own }}-share}
- {name: scratch, mountPath: /etc/xrootd, subPath: {{ $own }}-etc}
- {name: scratch, mountPath: /etc/grid-security, subPath: {{ $own }}-security}
- {name: scratch, mountPath: /run/xrootd, subPath: run}
- {name: scratch, mountPath: /var/spool/xrootd, subPath: spool}
- {name: scratch, mountPath: /tmp, subPath: {{ $own }}-tmp}
{{- end -}}

{{- define "xcache.volumes" -}}
- name: secrets
  secret:
    secretName: {{ .Values.existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .Values.secretKeys.ca }}, path: ca.pem}
      - {key: {{ .Values.secretKeys.certificate }}, path: hostcert.pem}
      - {key: {{ .Values.secretKeys.key }}, path: hostkey.pem}
- name: scratch
  emptyDir: {sizeLimit: 256Mi}
{{- end -}}

{{- /* the daemon by which the servers of a level find each other: (list root, settings, role) */ -}}
{{- define "xcache.cmsd" -}}
{{- $root := index . 0 -}}
- name: cmsd
  image: {{ include "xcache.image" $root | quote }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  args: [/etc/cantiere/start, cmsd]
  env:
    - {name: CANTIERE_SETTINGS, value: {{ toJson (index . 1) | quote }}}
    - {name: CANTIERE_ROLE, value: {{ index . 2 }}}
  securityContext: {{- include "xcache.locked" $root | nindent 4 }}
  resources: {{- toYaml $root.Values.redirector.resources | nindent 4 }}
{{- end -}}
