package main

import (
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// lookup is what templates call. Helm's own would read every namespace with the agent's rights, and so hand one environment
// the Secrets of another: here a namespaced object is found in the release's namespace alone, one without a namespace only
// if the release may hold its kind, and everything else is as if it were not there.
func (s *session) lookup(apiVersion, kind, namespace, name string) (map[string]any, error) {
	nothing := map[string]any{}
	gvk := schema.FromAPIVersionAndKind(apiVersion, kind)
	mapping, err := s.cluster.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nothing, err
	}
	objects := s.cluster.dynamic.Resource(mapping.Resource)
	var client dynamic.ResourceInterface = objects
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		if namespace != "" && namespace != s.request.Namespace {
			return nothing, nil
		}
		client = objects.Namespace(s.request.Namespace)
	} else if !s.confinement().allows(mapping.GroupVersionKind.GroupKind()) {
		return nothing, nil
	}
	if name == "" {
		list, err := client.List(s.ctx, metav1.ListOptions{})
		if apierrors.IsNotFound(err) {
			return nothing, nil
		}
		if err != nil {
			return nothing, err
		}
		return list.UnstructuredContent(), nil
	}
	object, err := client.Get(s.ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nothing, nil
	}
	if err != nil {
		return nothing, err
	}
	return object.UnstructuredContent(), nil
}
