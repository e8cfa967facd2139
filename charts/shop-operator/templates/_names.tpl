{{/* What the objects of a release are called: the release, with the chart's name in it once. */}}
{{- define "shop-operator.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "shop-operator.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "shop-operator.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/*
The labels that select the operator's pods. The first one is fixed, whatever the release is called: the NetworkPolicies of
shops know the operator by it.
*/}}
{{- define "shop-operator.selectorLabels" -}}
app.kubernetes.io/name: shop-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "shop-operator.labels" -}}
{{ include "shop-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}
