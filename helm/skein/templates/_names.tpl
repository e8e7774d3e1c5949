{{/* Names, labels and images. */}}

{{- define "skein.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "skein.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains (include "skein.name" .) .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "skein.name" .) -}}
{{- end -}}
{{- end -}}

{{- define "skein.gatewayName" -}}
{{- include "skein.fullname" . }}-gateway
{{- end -}}

{{/* (dict "root" $ "key" KEY), a key of `models`. */}}
{{- define "skein.workerName" -}}
{{- include "skein.fullname" .root }}-worker-{{ .key }}
{{- end -}}

{{- define "skein.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "skein.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* What pods are selected by: (dict "root" $ "component" C ["key" KEY]). Never changes in the life of a release. */}}
{{- define "skein.selector" -}}
app.kubernetes.io/name: {{ include "skein.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .key }}
skein/model: {{ . }}
{{- end }}
{{- end -}}

{{/* The same with "labels": further ones of this object. */}}
{{- define "skein.labels" -}}
{{- $fixed := merge (fromYaml (include "skein.selector" .)) (dict
    "app.kubernetes.io/version" .root.Chart.AppVersion
    "app.kubernetes.io/managed-by" .root.Release.Service
    "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_")) -}}
{{- mergeOverwrite (deepCopy .root.Values.commonLabels) (deepCopy (.labels | default dict)) $fixed | toYaml -}}
{{- end -}}

{{/* Of pods: nothing that changes with the chart's version, which would restart every worker. */}}
{{- define "skein.podLabels" -}}
{{- mergeOverwrite (deepCopy .root.Values.commonLabels) (deepCopy .labels) (fromYaml (include "skein.selector" .)) | toYaml -}}
{{- end -}}

{{/* metadata of an object: (dict "root" $ "component" C ["key" KEY] "name" NAME ["labels" MAP] ["annotations" MAP] ["namespace" NS]) */}}
{{- define "skein.metadata" -}}
name: {{ .name }}
namespace: {{ .namespace | default .root.Release.Namespace }}
labels:
  {{- include "skein.labels" . | nindent 2 }}
{{- with mergeOverwrite (deepCopy .root.Values.commonAnnotations) (deepCopy (.annotations | default dict)) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* (dict "root" $ "image" IMAGE) */}}
{{- define "skein.image" -}}
{{- $repository := .image.repository -}}
{{- with .image.registry }}{{ $repository = printf "%s/%s" . $repository }}{{ end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
