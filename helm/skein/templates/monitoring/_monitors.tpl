{{/* What both kinds of monitors share: gateways and workers of this release. */}}

{{- define "skein.monitorSpec" -}}
selector:
  matchLabels:
    app.kubernetes.io/name: {{ include "skein.name" . }}
    app.kubernetes.io/instance: {{ .Release.Name }}
  matchExpressions:
    - {key: app.kubernetes.io/component, operator: In, values: [gateway, worker]}
namespaceSelector:
  matchNames: [{{ .Release.Namespace }}]
{{- end -}}

{{- define "skein.monitorEndpoint" -}}
path: /metrics
interval: {{ .Values.monitoring.interval }}
relabelings:
  # The rules find targets by a job that has skein in its name.
  - {sourceLabels: [__meta_kubernetes_pod_label_app_kubernetes_io_component], targetLabel: job, replacement: skein-$1}
{{- with .Values.monitoring.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
