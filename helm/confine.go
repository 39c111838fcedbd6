package main

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	k8syaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	chart "helm.sh/helm/v4/pkg/chart/v2"
	release "helm.sh/helm/v4/pkg/release/v1"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
)

// crdKind as people allow it.
const crdKind = "CustomResourceDefinition.apiextensions.k8s.io"

// confinement is where a release may write: in its own namespace, and of the kinds that have none those that are allowed.
// The agent may write anywhere, and a chart is written by whoever may push to an environment.
type confinement struct {
	namespace string
	// kinds without a namespace that are allowed, as KIND.GROUP; nil for all.
	kinds *[]string
	// mapper tells which kinds have a namespace; nil where there is no cluster to ask.
	mapper meta.RESTMapper
}

func (s *session) confinement() confinement {
	c := confinement{namespace: s.request.Namespace, kinds: s.request.ClusterKinds}
	if !s.request.Offline {
		c.mapper = s.cluster.mapper
	}
	return c
}

// check refuses an object that is not the release's to write; nil if it is.
func (c confinement) check(apiVersion, kind, namespace, name string) *failure {
	if namespace != "" && namespace != c.namespace {
		return &failure{Kind: kindRefused, Object: kind + "/" + name, Reason: "the chart puts it into the namespace " +
			namespace + "; a release stays in its own"}
	}
	if c.kinds == nil || c.mapper == nil {
		return nil
	}
	gvk := schema.FromAPIVersionAndKind(apiVersion, kind)
	if c.allows(gvk.GroupKind()) {
		return nil
	}
	mapping, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		// An unknown kind is not written either: Helm says so.
		return nil
	}
	if err != nil {
		return &failure{Kind: kindCluster, Reason: "it does not tell whether " + kindName(gvk.GroupKind()) +
			" has a namespace: " + describe(err)}
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return nil
	}
	return &failure{Kind: kindRefused, Object: kind + "/" + name, Reason: "it belongs to the whole cluster; allow " +
		kindName(gvk.GroupKind()) + " for the project, or leave it out of the chart"}
}

func (c confinement) allows(kind schema.GroupKind) bool {
	return c.kinds == nil || slices.Contains(*c.kinds, kindName(kind))
}

func kindName(kind schema.GroupKind) string {
	if kind.Group == "" {
		return kind.Kind
	}
	return kind.Kind + "." + kind.Group
}

// stored checks what Helm recorded of a revision before it is written or deleted again: whoever may write Secrets in the
// namespace may have written the record.
func (c confinement) stored(revision *release.Release) error {
	manifests := []string{revision.Manifest}
	for _, hook := range revision.Hooks {
		manifests = append(manifests, hook.Manifest)
	}
	for _, manifest := range manifests {
		if err := c.manifest(manifest); err != nil {
			return err
		}
	}
	return nil
}

// manifest checks all objects of a text as Helm's client reads it, by the same decoder: what an object is can look
// otherwise. Whatever has `items` is a list to it, items without a kind take the list's, and of a key that stands twice
// the last one counts.
func (c confinement) manifest(text string) error {
	documents := k8syaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		document := runtime.RawExtension{}
		err := documents.Decode(&document)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &failure{Kind: kindOther, Reason: "what the release holds cannot be read"}
		}
		raw := bytes.TrimSpace(document.Raw)
		if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
			continue
		}
		object, _, err := unstructured.UnstructuredJSONScheme.Decode(raw, nil, nil)
		if err != nil {
			// Helm's client stumbles over it in the same way, and writes nothing.
			continue
		}
		if refused := c.object(object); refused != nil {
			return refused
		}
	}
}

func (c confinement) object(object runtime.Object) *failure {
	switch object := object.(type) {
	case *unstructured.UnstructuredList:
		for index := range object.Items {
			if refused := c.object(&object.Items[index]); refused != nil {
				return refused
			}
		}
	case *unstructured.Unstructured:
		if refused := c.check(object.GetAPIVersion(), object.GetKind(), object.GetNamespace(), object.GetName()); refused != nil {
			return refused
		}
		if !object.IsList() {
			return nil
		}
		items, err := object.ToList()
		if err != nil {
			// As above.
			return nil
		}
		return c.object(items)
	}
	return nil
}

// mayBring tells whether the chart's crds/ are to be installed. Where they are not allowed, they must be there already.
func (s *session) mayBring(loaded *chart.Chart) (bool, error) {
	crds := loaded.CRDObjects()
	if len(crds) == 0 || s.confinement().allows(schema.ParseGroupKind(crdKind)) {
		return true, nil
	}
	definitions := s.cluster.dynamic.Resource(schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
	})
	for _, crd := range crds {
		for _, document := range releaseutil.SplitManifests(string(crd.File.Data)) {
			var object map[string]any
			if err := yaml.Unmarshal([]byte(document), &object); err != nil {
				return false, &chartFault{crd.Filename + " is no YAML"}
			}
			name, _ := dig(object, "metadata", "name").(string)
			if name == "" {
				continue
			}
			_, err := definitions.Get(s.ctx, name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return false, &failure{Kind: kindRefused, Object: "CustomResourceDefinition/" + name, Reason: "the chart brings it " +
					"for the whole cluster; allow " + crdKind + " for the project, or install it beforehand"}
			}
			if err != nil {
				return false, err
			}
		}
	}
	return false, nil
}
