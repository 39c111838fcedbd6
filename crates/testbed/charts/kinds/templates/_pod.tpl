{{- define "kinds.pod" -}}
metadata:
  labels:
    app: {{ .app }}
spec:
  {{- with .restart }}
  restartPolicy: {{ . }}
  {{- end }}
  containers:
    - name: main
      image: {{ .root.Values.image }}
      imagePullPolicy: IfNotPresent
      command: [sample, job]
{{- end }}
