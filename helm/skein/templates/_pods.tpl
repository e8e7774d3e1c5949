{{/* What pods of both components share. */}}

{{/* Everything of a pod's spec besides its containers and volumes: (dict "root" $ "pod" VALUES "selector" LABELS "grace" SECONDS) */}}
{{- define "skein.podSpec" -}}
serviceAccountName: {{ include "skein.serviceAccountName" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .pod.podSecurityContext | nindent 2 }}
terminationGracePeriodSeconds: {{ .grace }}
{{- with .pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .pod.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .pod.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $constraints := list }}
{{- range .pod.topologySpreadConstraints }}
{{- $constraints = append $constraints (merge (deepCopy .) (dict "labelSelector" (dict "matchLabels" (fromYaml $.selector)))) }}
{{- end }}
{{- with $constraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Of a container: security, environment, resources. (dict "pod" VALUES "resources" RESOURCES) */}}
{{- define "skein.container" -}}
securityContext:
  {{- toYaml .pod.securityContext | nindent 2 }}
{{- with .pod.extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml .resources | nindent 2 }}
{{- end -}}

{{/* Default of terminationGracePeriodSeconds: (dict "values" VALUES "slack" SECONDS). */}}
{{- define "skein.gracePeriod" -}}
{{- if kindIs "invalid" .values.terminationGracePeriodSeconds -}}
{{- add (.values.config.drain_timeout_s | default 30) (.values.preStopSeconds | default 0) .slack -}}
{{- else -}}
{{- .values.terminationGracePeriodSeconds -}}
{{- end -}}
{{- end -}}

{{/* One of maxUnavailable and minAvailable. */}}
{{- define "skein.disruptions" -}}
{{- if not (kindIs "invalid" .minAvailable) -}}
minAvailable: {{ .minAvailable }}
{{- else -}}
maxUnavailable: {{ .maxUnavailable }}
{{- end }}
unhealthyPodEvictionPolicy: AlwaysAllow
{{- end -}}
