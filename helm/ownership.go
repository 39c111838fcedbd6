package main

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/resource"

	"helm.sh/helm/v4/pkg/kube"
)

// isOurs asks the cluster whether an object is this release's, by the marks that Helm writes.
func (s *session) isOurs(info *resource.Info) bool {
	found, err := resource.NewHelper(info.Client, info.Mapping).Get(info.Namespace, info.Name)
	if err != nil {
		return false
	}
	object, err := meta.Accessor(found)
	if err != nil {
		return false
	}
	annotations := object.GetAnnotations()
	return annotations["meta.helm.sh/release-name"] == s.request.Name &&
		annotations["meta.helm.sh/release-namespace"] == s.request.Namespace &&
		annotations[kube.ResourcePolicyAnno] != kube.KeepPolicy
}
