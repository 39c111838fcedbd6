package main

import (
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
	if err != nil || mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		// An unknown kind is not written either: Helm says so.
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
		for _, document := range releaseutil.SplitManifests(manifest) {
			var object map[string]any
			if err := yaml.Unmarshal([]byte(document), &object); err != nil {
				return &failure{Kind: kindOther, Reason: "the record of an earlier revision cannot be read"}
			}
			if refused := c.tree(object); refused != nil {
				return refused
			}
		}
	}
	return nil
}

func (c confinement) tree(object map[string]any) *failure {
	kind, _ := object["kind"].(string)
	if items, ok := object["items"].([]any); ok && strings.HasSuffix(kind, "List") {
		for _, item := range items {
			if item, ok := item.(map[string]any); ok {
				if refused := c.tree(item); refused != nil {
					return refused
				}
			}
		}
		return nil
	}
	apiVersion, _ := object["apiVersion"].(string)
	namespace, _ := dig(object, "metadata", "namespace").(string)
	name, _ := dig(object, "metadata", "name").(string)
	return c.check(apiVersion, kind, namespace, name)
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
