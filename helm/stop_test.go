package main

import (
	"testing"

	"helm.sh/helm/v4/pkg/kube"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"
	"sigs.k8s.io/yaml"
)

func TestWhatIsStoppedRunsNothing(t *testing.T) {
	for name, test := range map[string]struct {
		manifest string
		field    string
		want     any
	}{
		"a size":         {"{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 3}}", "replicas", int64(0)},
		"no size":        {"{apiVersion: apps/v1, kind: StatefulSet, spec: {}}", "replicas", int64(0)},
		"no spec":        {"{apiVersion: apps/v1, kind: Deployment}", "replicas", int64(0)},
		"a schedule":     {"{apiVersion: batch/v1, kind: CronJob, spec: {suspend: false}}", "suspend", true},
		"a hook":         {"{apiVersion: apps/v1, kind: Deployment, metadata: {annotations: {helm.sh/hook: pre-upgrade}}, spec: {replicas: 3}}", "replicas", int64(3)},
		"another's kind": {"{apiVersion: example.com/v1, kind: Deployment, spec: {replicas: 3}}", "replicas", int64(3)},
		"one per node":   {"{apiVersion: apps/v1, kind: DaemonSet, spec: {}}", "replicas", nil},
	} {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(test.manifest), &object.Object); err != nil {
			t.Fatal(err)
		}
		// As Helm's client reads it: whole numbers.
		if replicas, ok := dig(object.Object, "spec", "replicas").(float64); ok {
			_ = unstructured.SetNestedField(object.Object, int64(replicas), "spec", "replicas")
		}
		stop(kube.ResourceList{&resource.Info{Object: object}})
		if found := dig(object.Object, "spec", test.field); found != test.want {
			t.Errorf("%s: %v", name, found)
		}
	}
}
