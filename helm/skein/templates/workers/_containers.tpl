{{/* Containers and volumes of a worker's pod. `worker` has the values of the model, with those of `worker` below. */}}

{{- define "skein.workerContainer" -}}
{{- $ports := include "skein.ports" .root | fromJson -}}
{{- $w := .worker -}}
{{- $resources := deepCopy $w.resources -}}
{{- if gt (int $w.gpu.count) 0 -}}
{{- range list "requests" "limits" -}}
{{- $_ := set $resources . (set (deepCopy (index $resources . | default dict)) $w.gpu.resource (int $w.gpu.count)) -}}
{{- end -}}
{{- end -}}
{{- $image := deepCopy $w.image -}}
{{- if not $image.repository -}}
{{- $_ := set $image "repository" (ternary "skein-worker-cuda" "skein-worker" (gt (int $w.gpu.count) 0)) -}}
{{- end -}}
{{- /* The kubelet's probes speak no TLS. */ -}}
{{- $probePort := ternary $ports.workerHealth $ports.workerGrpc .root.Values.mutualTls.enabled -}}
- name: worker
  image: {{ include "skein.image" (dict "root" .root "image" $image) }}
  imagePullPolicy: {{ $w.image.pullPolicy }}
  args: [--config=/etc/skein/config/worker.txtpb]
  {{- include "skein.container" (dict "pod" $w "resources" $resources) | nindent 2 }}
  ports:
    - {name: grpc, containerPort: {{ $ports.workerGrpc }}, protocol: TCP}
    {{- if .root.Values.mutualTls.enabled }}
    - {name: health, containerPort: {{ $ports.workerHealth }}, protocol: TCP}
    {{- end }}
    - {name: metrics, containerPort: {{ $ports.metrics }}, protocol: TCP}
  startupProbe:
    grpc: {port: {{ $probePort }}, service: startup}
    {{- toYaml $w.probes.startup | nindent 4 }}
  readinessProbe:
    grpc: {port: {{ $probePort }}, service: ""}
    {{- toYaml $w.probes.readiness | nindent 4 }}
  livenessProbe:
    grpc: {port: {{ $probePort }}, service: liveness}
    {{- toYaml $w.probes.liveness | nindent 4 }}
  volumeMounts:
    - {name: config, mountPath: /etc/skein/config, readOnly: true}
    - name: model
      mountPath: {{ $w.volume.mountPath }}
      readOnly: true
      {{- with $w.volume.subPath }}
      subPath: {{ . }}
      {{- end }}
    {{- if gt (int $w.gpu.count) 0 }}
    - {name: cache, mountPath: {{ $w.cache.mountPath }}}
    {{- end }}
    {{- with $w.registry.files }}
    {{- if .source }}
    - name: states
      mountPath: {{ .mountPath }}
      readOnly: true
      {{- with .subPath }}
      subPath: {{ . }}
      {{- end }}
    {{- end }}
    {{- end }}
    {{- if $w.registry.kept.enabled }}
    - {name: kept, mountPath: {{ $w.registry.kept.mountPath }}}
    {{- end }}
    {{- if .root.Values.mutualTls.enabled }}
    - {name: tls, mountPath: /etc/skein/tls, readOnly: true}
    {{- end }}
    {{- with $w.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "skein.fetchContainer" -}}
- name: fetch
  image: {{ .fetch.image }}
  imagePullPolicy: {{ .fetch.pullPolicy }}
  {{- range $part := list "command" "args" "env" "envFrom" }}
  {{- with index $.fetch $part }}
  {{ $part }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  securityContext:
    {{- toYaml .securityContext | nindent 4 }}
  resources:
    {{- toYaml .fetch.resources | nindent 4 }}
  volumeMounts:
    - name: model
      mountPath: {{ .volume.mountPath }}
      {{- with .volume.subPath }}
      subPath: {{ . }}
      {{- end }}
    - {name: fetch-tmp, mountPath: /tmp}
{{- end -}}

{{- define "skein.workerVolumes" -}}
- name: config
  configMap: {name: {{ .name }}}
{{- with .worker.volume.source }}
- name: model
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .worker.fetch.image }}
- name: fetch-tmp
  emptyDir: {}
{{- end }}
{{- with .worker.registry.files.source }}
- name: states
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if and .worker.registry.kept.enabled (not .worker.registry.kept.claimTemplate) }}
- name: kept
  emptyDir: {sizeLimit: 64Mi}
{{- end }}
{{- if gt (int .worker.gpu.count) 0 }}
- name: cache
  {{- toYaml (.worker.cache.source | default (dict "emptyDir" (dict "sizeLimit" "64Mi"))) | nindent 2 }}
{{- end }}
{{- if .root.Values.mutualTls.enabled }}
- name: tls
  secret: {secretName: {{ .root.Values.mutualTls.worker.existingSecret }}, defaultMode: 0440}
{{- end }}
{{- with .worker.extraVolumes }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end -}}
