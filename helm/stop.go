package main

import (
	"helm.sh/helm/v4/pkg/kube"
	release "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// stop takes the workloads of a release to nothing in what is written to the cluster, while what Helm records stays what
// the chart asks for: a release that is stopped is upgraded without one pod of it beginning to run, and its start finds
// the chart's sizes in the record. `crates/agent/src/releases/sizes.rs` names the same kinds.
func stop(resources kube.ResourceList) {
	for _, info := range resources {
		object, ok := info.Object.(*unstructured.Unstructured)
		if !ok || object.GetAnnotations()[release.HookAnnotation] != "" {
			continue
		}
		kind := object.GroupVersionKind()
		switch {
		case kind.Group == "apps" && (kind.Kind == "Deployment" || kind.Kind == "StatefulSet"):
			// A spec that is no mapping is left to the server, which refuses it.
			_ = unstructured.SetNestedField(object.Object, int64(0), "spec", "replicas")
		case kind.Group == "batch" && kind.Kind == "CronJob":
			_ = unstructured.SetNestedField(object.Object, true, "spec", "suspend")
		}
	}
}
