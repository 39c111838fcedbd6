package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// confined is the refusal of a manifest that may hold no kind without a namespace; nil if there is none.
func confined(t *testing.T, manifest string) *failure {
	t.Helper()
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, meta.RESTScopeNamespace)
	mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, meta.RESTScopeRoot)
	labeller := newLabeller(&request{Name: "web", Namespace: "shop"}, earlier{}, &scrubber{})
	labeller.progress = &progress{}
	labeller.confinement = confinement{namespace: "shop", kinds: &[]string{}, mapper: mapper}
	_, rendered := labeller.Run(bytes.NewBufferString(manifest))
	stored := labeller.confinement.manifest(manifest)
	var refused, again *failure
	if errors.As(rendered, &refused) != errors.As(stored, &again) {
		t.Fatalf("what is rendered (%v) and what is stored (%v) must be judged alike:\n%s", rendered, stored, manifest)
	}
	return refused
}

func TestObjectsAreConfinedAsHelmReadsThem(t *testing.T) {
	for name, manifest := range map[string]string{
		"as it looks":            "{apiVersion: v1, kind: Namespace, metadata: {name: evil}}",
		"in a list":              "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Namespace, metadata: {name: evil}}]}",
		"in a list in a list":    "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Namespace, metadata: {name: evil}}]}]}",
		"in no list by its name": "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, items: [{apiVersion: v1, kind: Namespace, metadata: {name: evil}}]}",
		"of a list's kind":       "{apiVersion: v1, kind: NamespaceList, items: [{metadata: {name: evil}}]}",
		"with two kinds":         "apiVersion: v1\nkind: ConfigMap\nkind: Namespace\nmetadata: {name: evil}\n",
		"elsewhere":              "{apiVersion: v1, kind: ConfigMap, metadata: {name: evil, namespace: other}}",
		"elsewhere at second":    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: evil}\nmetadata: {name: evil, namespace: other}\n",
		"behind what may be":     "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: evil}}",
	} {
		refused := confined(t, manifest)
		if refused == nil || refused.Kind != kindRefused || !strings.HasSuffix(refused.Object, "/evil") {
			t.Errorf("%s: %+v", name, refused)
		}
	}
	for name, manifest := range map[string]string{
		"its own":      "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}}",
		"its own list": "{apiVersion: v1, kind: ConfigMapList, items: [{metadata: {name: a}}]}",
		"nothing":      "# nothing\n---\n",
		"unknown":      "{apiVersion: a.example/v1, kind: Unknown, metadata: {name: a}}",
	} {
		if refused := confined(t, manifest); refused != nil {
			t.Errorf("%s: %+v", name, refused)
		}
	}
}
