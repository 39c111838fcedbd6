{{- define "hooks.job" -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .root.Release.Name }}-{{ .event }}
  annotations:
    helm.sh/hook: {{ .event }}
    helm.sh/hook-delete-policy: before-hook-creation{{ if .clean }},hook-succeeded{{ end }}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers:
        - name: job
          image: {{ .root.Values.image }}
          imagePullPolicy: IfNotPresent
          command:
            - sh
            - -c
            - |
              echo {{ printf "%s: %s" .event .root.Values.say | quote }}
              {{- if eq .event .root.Values.slow }}
              sleep {{ .root.Values.seconds }}
              {{- end }}
              {{- if eq .event .root.Values.fail }}
              echo it does not work out
              exit 1
              {{- end }}
{{- end }}
