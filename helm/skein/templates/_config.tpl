{{/* Configurations of the processes, in the Protobuf text format. */}}

{{/* Ports of the containers. */}}
{{- define "skein.ports" -}}
{"http": 8080, "gatewayGrpc": 8081, "workerGrpc": 50051, "workerHealth": 50052, "metrics": 9091}
{{- end -}}

{{/* A map as the fields of a message; whole numbers stay whole, which Helm reads as floats. */}}
{{- define "skein.textproto" -}}
{{- range $field, $value := . }}
{{- if kindIs "slice" $value }}
{{- range $value }}
{{ include "skein.textprotoField" (dict "field" $field "value" .) }}
{{- end }}
{{- else if not (kindIs "invalid" $value) }}
{{ include "skein.textprotoField" (dict "field" $field "value" $value) }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "skein.textprotoField" -}}
{{- if kindIs "map" .value -}}
{{ .field }} {
  {{- include "skein.textproto" .value | trim | nindent 2 }}
}
{{- else if kindIs "string" .value -}}
{{ .field }}: {{ printf "%q" .value }}
{{- else if and (kindIs "float64" .value) (eq .value (float64 (int64 .value))) -}}
{{ .field }}: {{ int64 .value }}
{{- else -}}
{{ .field }}: {{ .value }}
{{- end -}}
{{- end -}}

{{/* Whole cores of a quantity of CPU, at least 1. */}}
{{- define "skein.cores" -}}
{{- $cpu := toString . -}}
{{- if hasSuffix "m" $cpu -}}
{{- max 1 (div (add (int (trimSuffix "m" $cpu)) 999) 1000) -}}
{{- else -}}
{{- max 1 (int (ceil (float64 $cpu))) -}}
{{- end -}}
{{- end -}}

{{- define "skein.serverName" -}}
{{- .Values.mutualTls.serverName | default (printf "%s-worker.%s.svc" (include "skein.fullname" .) .Release.Namespace) -}}
{{- end -}}

{{- define "skein.gatewayConfig" -}}
{{- $ports := include "skein.ports" . | fromJson -}}
{{- $g := .Values.gateway -}}
{{- $sources := list -}}
{{- range $key, $_ := .Values.models -}}
{{- $service := include "skein.workerName" (dict "root" $ "key" $key) -}}
{{- $sources = append $sources (printf "dns:%s.%s.svc.%s:%v" $service $.Release.Namespace $.Values.clusterDomain $ports.workerGrpc) -}}
{{- end -}}
{{- $config := dict
    "listen" (printf "%s:%v" .Values.bindAddress $ports.http)
    "metrics_listen" (printf "%s:%v" .Values.bindAddress $ports.metrics)
    "worker" (concat $sources $g.workers) -}}
{{- if $g.grpc.enabled }}{{ $_ := set $config "grpc_listen" (printf "%s:%v" .Values.bindAddress $ports.gatewayGrpc) }}{{ end -}}
{{- if $g.keys.existingSecret }}{{ $_ := set $config "keys_file" (printf "/etc/skein/keys/%s" $g.keys.key) }}{{ end -}}
{{- if $g.allowNoKeys }}{{ $_ := set $config "allow_no_keys" true }}{{ end -}}
{{- with $g.trustedProxies }}{{ $_ := set $config "trusted_proxy" . }}{{ end -}}
{{- with $g.tls -}}
{{- if .existingSecret -}}
{{- $tls := dict "certificate" (printf "/etc/skein/tls/%s" .certificate) "key" (printf "/etc/skein/tls/%s" .key) -}}
{{- if .clientCa }}{{ $_ := set $tls "client_ca" (printf "/etc/skein/tls/%s" .clientCa) }}{{ end -}}
{{- $_ := set $config "tls" $tls -}}
{{- end -}}
{{- end -}}
{{- if .Values.mutualTls.enabled -}}
{{- $_ := set $config "worker_tls" (dict
    "ca" "/etc/skein/worker-tls/ca.crt"
    "certificate" "/etc/skein/worker-tls/tls.crt"
    "key" "/etc/skein/worker-tls/tls.key"
    "server_name" (include "skein.serverName" .)) -}}
{{- end -}}
{{- with dig "limits" "cpu" "" $g.resources -}}
{{- $_ := set $config "threads" (min 8 (int (include "skein.cores" .))) -}}
{{- end -}}
{{- include "skein.textproto" (mergeOverwrite $config (deepCopy $g.config)) | trim -}}
{{- end -}}

{{/* (dict "root" $ "key" KEY "worker" WORKER) */}}
{{- define "skein.workerConfig" -}}
{{- $ports := include "skein.ports" .root | fromJson -}}
{{- $bind := .root.Values.bindAddress -}}
{{- $w := .worker -}}
{{- $path := $w.path | default "" -}}
{{- if not (hasPrefix "/" $path) }}{{ $path = printf "%s/%s" $w.volume.mountPath $path | trimSuffix "/" }}{{ end -}}
{{- $engine := dict "device" (ternary "cuda" "cpu" (gt (int $w.gpu.count) 0)) -}}
{{- if gt (int $w.gpu.count) 0 }}{{ $_ := set $engine "cache_dir" $w.cache.mountPath }}{{ end -}}
{{- $cpu := dig "limits" "cpu" "" $w.resources -}}
{{- if and $cpu (eq (int $w.gpu.count) 0) }}{{ $_ := set $engine "threads" (int (include "skein.cores" $cpu)) }}{{ end -}}
{{- $config := dict
    "listen" (printf "%s:%v" $bind $ports.workerGrpc)
    "metrics_listen" (printf "%s:%v" $bind $ports.metrics)
    "model" (dict "path" $path "name" ($w.name | default .key))
    "engine" $engine -}}
{{- $registry := dict -}}
{{- if $w.registry.manifest }}{{ $_ := set $registry "manifest" "/etc/skein/config/registry.txtpb" }}{{ end -}}
{{- with $w.registry.manifestFile -}}
{{- $_ := set $registry "manifest" (ternary . (printf "%s/%s" $w.volume.mountPath .) (hasPrefix "/" .)) -}}
{{- end -}}
{{- if $w.registry.files.source }}{{ $_ := set $registry "root" (list $w.registry.files.mountPath) }}{{ end -}}
{{- if $w.registry.kept.enabled }}{{ $_ := set $registry "kept" (printf "%s/registry.txtpb" $w.registry.kept.mountPath) }}{{ end -}}
{{- with $registry }}{{ $_ := set $config "registry" . }}{{ end -}}
{{- if .root.Values.mutualTls.enabled -}}
{{- $_ := set $config "health_listen" (printf "%s:%v" $bind $ports.workerHealth) -}}
{{- $_ := set $config "tls" (dict
    "certificate" "/etc/skein/tls/tls.crt"
    "key" "/etc/skein/tls/tls.key"
    "client_ca" "/etc/skein/tls/ca.crt") -}}
{{- end -}}
{{- include "skein.textproto" (mergeOverwrite $config (deepCopy $w.config)) | trim -}}
{{- end -}}
