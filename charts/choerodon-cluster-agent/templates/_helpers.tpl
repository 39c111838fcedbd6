{{- define "agent.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "agent.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "agent.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "agent.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "agent.selector" -}}
app.kubernetes.io/name: {{ include "agent.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "agent.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "agent.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: c7n
{{- end -}}

{{- define "agent.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "agent.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "agent.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "agent.tokenSecret" -}}
{{- default (printf "%s-activation" (include "agent.fullname" .)) .Values.config.existingSecret -}}
{{- end -}}

{{- define "agent.credentialSecret" -}}
{{- printf "%s-credential" (include "agent.fullname" .) -}}
{{- end -}}

{{- define "agent.hasCa" -}}
{{- if or .Values.ca.bundle .Values.ca.existingConfigMap .Values.ca.existingSecret -}}yes{{- end -}}
{{- end -}}

{{- define "agent.hasProxy" -}}
{{- if or .Values.proxy.http .Values.proxy.https .Values.proxy.existingSecret -}}yes{{- end -}}
{{- end -}}

{{- define "agent.noProxy" -}}
{{- $own := list "$(KUBERNETES_SERVICE_HOST)" "kubernetes.default.svc" "localhost" "127.0.0.1" -}}
{{- if .Values.proxy.noProxy }}{{ $own = append $own .Values.proxy.noProxy }}{{ end -}}
{{- join "," $own -}}
{{- end -}}

{{/* What one object of any kind needs to be applied, pruned and watched. No "*": impersonate, bind, escalate and approve stay out. */}}
{{- define "agent.objectVerbs" -}}
["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
{{- end -}}

{{/* One probe: by port, or by a socket in the pod where the network is the node's. */}}
{{- define "agent.probe" -}}
{{- $root := index . 0 -}}
{{- $path := index . 1 -}}
{{- if $root.Values.hostNetwork -}}
exec:
  command: [/usr/local/bin/c7n-agent, probe, --socket, /tmp/health.sock, {{ $path }}]
{{- else -}}
httpGet:
  path: /{{ $path }}
  port: health
{{- end -}}
{{- end -}}
