{{- define "loop.itself" }}{{ template "loop.itself" . }}{{ end }}
