{{/* An execute pod's metadata and spec. Argument: dict root class (with defaults) name restart. */}}
{{- define "htcondor.executePod" -}}
{{- $root := .root }}{{ $class := .class }}{{ $told := $class.settings }}
{{- $domain := printf "%s.svc.%s" $root.Release.Namespace $root.Values.clusterDomain }}
{{- $pod := mustMergeOverwrite (dict "leave_after" 0) (deepCopy $told.pod) }}
{{- if eq $class.style "keda" }}{{- $_ := set $pod "leave_after" (int $class.autoscaling.cooldown) }}{{- end }}
{{- $given := mustMergeOverwrite (deepCopy $told) (dict "pod" $pod) }}
{{- $settings := include "htcondor.settings" (dict "root" $root "role" "execute-point" "settings" $given "hostname" (printf "$ENV(POD_NAME).%s" $domain) "class" $class.name "keys" (list "domain" "collector")) }}
{{- $limits := dict "cpu" (int $told.cpus | toString) "memory" (printf "%dMi" (add (int $told.memory) 256)) }}
{{- $gpus := dict }}
{{- if and (int $pod.gpus) (not $pod.simulated_gpus) }}{{- $gpus = dict $class.gpuResource (int $pod.gpus | toString) }}{{- end }}
metadata:
  labels:
    {{- include "htcondor.selector" (dict "root" $root "component" "execute-point") | nindent 4 }}
    cantiere.io/worker-class: {{ $class.name }}
    {{- with $class.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/settings: {{ $settings | sha256sum }}
    # a cluster autoscaler that removes a node must not end running jobs
    cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
    {{- with $class.secretDigest }}
    checksum/secret: {{ . | quote }}
    {{- end }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  restartPolicy: {{ .restart }}
  # longer than running jobs may go on after the signal to end, which tells the daemons to take no more of them
  terminationGracePeriodSeconds: {{ add (int $told.retirement_time) (mul 2 (int $told.vacate_time)) 60 }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $class.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $class.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $class.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    seccompProfile: {{- toYaml $class.seccompProfile | nindent 6 }}
  containers:
    - name: htcondor
      image: {{ include "htcondor.image" (mustMergeOverwrite (deepCopy $root.Values.image) (deepCopy $class.image)) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      env:
        - {name: CANTIERE_ROLE, value: execute-point}
        - {name: CANTIERE_SETTINGS, value: {{ $settings | quote }}}
        - name: POD_NAME
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        # what the pod may use, whatever the node has
        - name: POD_CPUS
          valueFrom: {resourceFieldRef: {containerName: htcondor, resource: limits.cpu, divisor: "1"}}
        - name: POD_MEMORY
          valueFrom: {resourceFieldRef: {containerName: htcondor, resource: limits.memory, divisor: 1Mi}}
      {{- include "htcondor.probes" $root | nindent 6 }}
      resources:
        requests: {{- toYaml (mustMergeOverwrite (deepCopy $limits) (deepCopy $class.requests) $gpus (dict "ephemeral-storage" $class.scratch.size)) | nindent 10 }}
        limits: {{- toYaml (mustMergeOverwrite (deepCopy $limits) $gpus) | nindent 10 }}
      securityContext: {{- include "htcondor.securityContext" $root | nindent 8 }}
      volumeMounts:
        - {name: secrets, mountPath: /run/secrets, readOnly: true}
        - {name: scratch, mountPath: /srv/execute}
        {{- if $root.Values.cvmfs.enabled }}
        - {name: cvmfs, mountPath: /cvmfs, readOnly: true, mountPropagation: HostToContainer}
        {{- end }}
  volumes:
    {{- include "htcondor.secrets" (dict "root" $root "secret" ($class.existingSecret | default .name) "tls" (printf "%s-cm-tls" $root.Release.Name) "parts" (list (list "ca.crt" "ca.pem"))) | nindent 4 }}
    - name: scratch
      emptyDir: {sizeLimit: {{ $class.scratch.size }}}
    {{- if $root.Values.cvmfs.enabled }}
    - name: cvmfs
      {{- if $root.Values.cvmfs.claim }}
      persistentVolumeClaim: {claimName: {{ $root.Values.cvmfs.claim }}, readOnly: true}
      {{- else }}
      hostPath: {path: {{ required "cvmfs.claim or cvmfs.hostPath is needed" $root.Values.cvmfs.hostPath }}, type: Directory}
      {{- end }}
    {{- end }}
{{- end }}
