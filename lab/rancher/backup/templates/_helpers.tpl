{{- define "labels" }}
helm.sh/chart: {{ printf "rancher-backup-%s" .Chart.Version | replace "+" "_" }}
{{- include "selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
{{- define "selector" }}
app.kubernetes.io/name: rancher-backup
app.kubernetes.io/instance: {{ .Release.Name }}
resources.cattle.io/operator: backup-restore
{{- end }}
{{- define "registry" -}}
{{- with .Values.global.cattle.systemDefaultRegistry }}{{ . }}/{{ end }}
{{- end }}
{{- define "claim" -}}
{{- .Values.persistence.volumeName | default (printf "%s-%d" .Release.Name .Release.Revision) }}
{{- end }}
{{- define "placement" }}
nodeSelector:
  kubernetes.io/os: linux
  {{- with .Values.nodeSelector }}{{ toYaml . | nindent 2 }}{{ end }}
tolerations:
  - {key: cattle.io/os, value: linux, effect: NoSchedule, operator: Equal}
{{- end }}
{{- define "hook" }}
labels: {{- include "labels" . | indent 2 }}
annotations:
  helm.sh/hook: post-install, post-upgrade
  helm.sh/hook-delete-policy: hook-succeeded, before-hook-creation
{{- end }}
