{{- define "rancher.metadata" -}}
name: {{ .Release.Name }}
labels: {{- include "rancher.labels" . | nindent 2 }}
{{- end }}

{{- define "rancher.labels" -}}
app: {{ .Release.Name }}
chart: {{ .Chart.Name }}-{{ .Chart.Version }}
heritage: {{ .Release.Service }}
release: {{ .Release.Name }}
{{- end }}

{{/* Environment as a list of name and value, so that every value is quoted in one place. */}}
{{- define "rancher.env" -}}
{{- $env := list (list "CATTLE_NAMESPACE" .Release.Namespace) (list "CATTLE_PEER_SERVICE" .Release.Name) }}
{{- with .Values.features }}{{ $env = append $env (list "CATTLE_FEATURES" .) }}{{ end }}
{{- if gt (int .Values.auditLog.level) 0 }}
{{- $env = concat $env (list
    (list "AUDIT_LEVEL" .Values.auditLog.level) (list "AUDIT_LOG_MAXAGE" .Values.auditLog.maxAge)
    (list "AUDIT_LOG_MAXBACKUP" .Values.auditLog.maxBackup) (list "AUDIT_LOG_MAXSIZE" .Values.auditLog.maxSize)) }}
{{- end }}
{{- if .Values.proxy }}
{{- $env = concat $env (list (list "HTTP_PROXY" .Values.proxy) (list "HTTPS_PROXY" .Values.proxy) (list "NO_PROXY" .Values.noProxy)) }}
{{- end }}
{{- with .Values.systemDefaultRegistry }}{{ $env = append $env (list "CATTLE_SYSTEM_DEFAULT_REGISTRY" .) }}{{ end }}
{{- if .Values.useBundledSystemChart }}{{ $env = append $env (list "CATTLE_SYSTEM_CATALOG" "bundled") }}{{ end }}
{{- with .Values.agentTLSMode }}{{ $env = append $env (list "CATTLE_AGENT_TLS_MODE" .) }}{{ end }}
{{- $env = concat $env (list (list "IMPERATIVE_API_DIRECT" "true") (list "IMPERATIVE_API_APP_SELECTOR" .Release.Name)) }}
{{- with .Values.cacheSyncTimeout }}{{ $env = append $env (list "CACHE_SYNC_TIMEOUT" .) }}{{ end }}
{{- range $env }}
- name: {{ first . }}
  value: {{ last . | quote }}
{{- end }}
{{- if .Values.bootstrapPassword }}
- name: CATTLE_BOOTSTRAP_PASSWORD
  valueFrom:
    secretKeyRef: { name: bootstrap-secret, key: bootstrapPassword }
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "rancher.args" -}}
{{- if .Values.debug }}
- --debug
{{- end }}
{{- if not (or .Values.privateCA (and (eq .Values.tls "ingress") (eq .Values.ingress.tls.source "rancher"))) }}
- --no-cacerts
{{- end }}
- --http-listen-port=80
- --https-listen-port=443
- --add-local={{ .Values.addLocal }}
{{- end }}
