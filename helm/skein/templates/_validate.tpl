{{/* What values.schema.json cannot say. Ends the rendering with every mistake at once. */}}

{{- define "skein.validate" -}}
{{- $errors := list -}}
{{- $g := .Values.gateway -}}
{{- if not (or .Values.models $g.workers) -}}
{{- $errors = append $errors "models: empty, expected at least one entry (or gateway.workers); docs/kubernetes.md has examples" -}}
{{- end -}}
{{- if and (not $g.keys.existingSecret) (not $g.allowNoKeys) -}}
{{- $errors = append $errors "gateway.keys.existingSecret: empty, expected the name of a Secret with the file of API keys; or set gateway.allowNoKeys to serve everyone who reaches the Service" -}}
{{- end -}}
{{- if and $g.keys.existingSecret $g.allowNoKeys -}}
{{- $errors = append $errors "gateway.allowNoKeys: true, expected false with gateway.keys.existingSecret" -}}
{{- end -}}
{{- if and $g.ingress.enabled (not $g.ingress.hosts) -}}
{{- $errors = append $errors "gateway.ingress.hosts: empty, expected at least one host" -}}
{{- end -}}
{{- range $route := list "httpRoute" "grpcRoute" -}}
{{- if and (index $g $route).enabled (not (index $g $route).parentRefs) -}}
{{- $errors = append $errors (printf "gateway.%s.parentRefs: empty, expected the Gateway" $route) -}}
{{- end -}}
{{- end -}}
{{- if and $g.grpcRoute.enabled (not $g.grpc.enabled) -}}
{{- $errors = append $errors "gateway.grpcRoute.enabled: true, expected gateway.grpc.enabled with it" -}}
{{- end -}}
{{- if .Values.mutualTls.enabled -}}
{{- range $side := list "gateway" "worker" -}}
{{- if not (index $.Values.mutualTls $side).existingSecret -}}
{{- $errors = append $errors (printf "mutualTls.%s.existingSecret: empty, expected the name of a Secret with tls.crt, tls.key and ca.crt" $side) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if .Values.worker.name -}}
{{- $errors = append $errors "worker.name: expected in an entry of models" -}}
{{- end -}}
{{- $errors = concat $errors (include "skein.scalingErrors" (dict "path" "gateway" "values" $g "on" $g.autoscaling.enabled) | fromJsonArray) -}}
{{- $served := dict -}}
{{- range $key, $entry := .Values.models -}}
{{- $w := mergeOverwrite (deepCopy $.Values.worker) (deepCopy $entry) -}}
{{- $errors = concat $errors (include "skein.workerErrors" (dict "root" $ "key" $key "worker" $w) | fromJsonArray) -}}
{{- $name := $w.name | default $key -}}
{{- if hasKey $served $name -}}
{{- $errors = append $errors (printf "models.%s.name: %q is the name of models.%s, too" $key $name (get $served $name)) -}}
{{- end -}}
{{- $_ := set $served $name $key -}}
{{- end -}}
{{- if $errors -}}
{{- fail (printf "\n\n  %s\n" (join "\n  " $errors)) -}}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "key" KEY "worker" WORKER) -> JSON list */}}
{{- define "skein.workerErrors" -}}
{{- $errors := list -}}
{{- $path := printf "models.%s" .key -}}
{{- $w := .worker -}}
{{- $name := include "skein.workerName" . -}}
{{- if gt (len $name) 52 -}}
{{- $errors = append $errors (printf "%s: its objects would be named %s, expected at most 52 characters; set fullnameOverride" $path $name) -}}
{{- end -}}
{{- if $w.volume.claimTemplate -}}
{{- if ne $w.kind "StatefulSet" -}}
{{- $errors = append $errors (printf "%s.volume.claimTemplate: expected kind: StatefulSet with it" $path) -}}
{{- end -}}
{{- if $w.volume.source -}}
{{- $errors = append $errors (printf "%s.volume.source: expected none with claimTemplate" $path) -}}
{{- end -}}
{{- else if ne (len $w.volume.source) 1 -}}
{{- $errors = append $errors (printf "%s.volume.source: %d kinds of volumes, expected one, such as {persistentVolumeClaim: {claimName: NAME}}" $path (len $w.volume.source)) -}}
{{- end -}}
{{- if and (hasKey $w.volume.source "emptyDir") (not $w.fetch.image) -}}
{{- $errors = append $errors (printf "%s.fetch.image: empty, expected the image that fills the emptyDir" $path) -}}
{{- end -}}
{{- if and $w.fetch.image (hasKey $w.volume.source "image") -}}
{{- $errors = append $errors (printf "%s.fetch.image: expected none with an image volume, which is read-only" $path) -}}
{{- end -}}
{{- if gt (len $w.cache.source) 1 -}}
{{- $errors = append $errors (printf "%s.cache.source: %d kinds of volumes, expected one" $path (len $w.cache.source)) -}}
{{- end -}}
{{- if gt (len $w.registry.files.source) 1 -}}
{{- $errors = append $errors (printf "%s.registry.files.source: %d kinds of volumes, expected one" $path (len $w.registry.files.source)) -}}
{{- end -}}
{{- if and $w.registry.manifest $w.registry.manifestFile -}}
{{- $errors = append $errors (printf "%s.registry.manifestFile: expected none with manifest" $path) -}}
{{- end -}}
{{- if and $w.registry.kept.enabled $w.registry.kept.claimTemplate (ne $w.kind "StatefulSet") -}}
{{- $errors = append $errors (printf "%s.registry.kept.claimTemplate: expected kind: StatefulSet with it" $path) -}}
{{- end -}}
{{- if and (eq $w.autoscaling.type "keda") (not $w.autoscaling.keda.serverAddress) -}}
{{- $errors = append $errors (printf "%s.autoscaling.keda.serverAddress: empty, expected the address of Prometheus" $path) -}}
{{- end -}}
{{- $scaling := dict "path" $path "values" $w "on" (ne $w.autoscaling.type "") -}}
{{- concat $errors (include "skein.scalingErrors" $scaling | fromJsonArray) | toJson -}}
{{- end -}}

{{/* What both components share: (dict "path" PATH "values" VALUES "on" AUTOSCALED) -> JSON list */}}
{{- define "skein.scalingErrors" -}}
{{- $errors := list -}}
{{- $v := .values -}}
{{- if and .on (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- $errors = append $errors (printf "%s.autoscaling.minReplicas: %v, expected at most maxReplicas, %v" .path $v.autoscaling.minReplicas $v.autoscaling.maxReplicas) -}}
{{- end -}}
{{- with $v.podDisruptionBudget -}}
{{- if and .enabled (kindIs "invalid" .maxUnavailable) (kindIs "invalid" .minAvailable) -}}
{{- $errors = append $errors (printf "%s.podDisruptionBudget: neither maxUnavailable nor minAvailable, expected one" $.path) -}}
{{- end -}}
{{- end -}}
{{- if not (kindIs "invalid" $v.terminationGracePeriodSeconds) -}}
{{- $needed := add ($v.config.drain_timeout_s | default 30) ($v.preStopSeconds | default 0) -}}
{{- if lt (int $v.terminationGracePeriodSeconds) (int $needed) -}}
{{- $errors = append $errors (printf "%s.terminationGracePeriodSeconds: %v, expected at least %d, what draining may take" .path $v.terminationGracePeriodSeconds (int $needed)) -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
