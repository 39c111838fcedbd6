package main

import (
	"reflect"
	"strings"

	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/yaml"
)

// earlier holds the pod templates of the revision that is deployed now.
type earlier struct {
	namespace string
	templates map[identity]any
}

type identity struct{ group, kind, namespace, name string }

// carried is what a template keeps of what it was.
type carried struct {
	// whole: the template cannot be changed and is the same but for our labels; these stay as they were.
	whole  bool
	labels map[string]map[string]string
	// commit of the template, which is the same as before; empty if it is not.
	commit string
}

// earlierTemplates reads the templates of a manifest. What cannot be read is as if it were new.
func earlierTemplates(manifest, namespace string) earlier {
	e := earlier{namespace: namespace, templates: map[identity]any{}}
	for _, document := range releaseutil.SplitManifests(manifest) {
		var object map[string]any
		if yaml.Unmarshal([]byte(document), &object) == nil {
			e.add(object)
		}
	}
	return e
}

func (e *earlier) add(object map[string]any) {
	kind, _ := object["kind"].(string)
	if items, ok := object["items"].([]any); ok && strings.HasSuffix(kind, "List") {
		for _, item := range items {
			if item, ok := item.(map[string]any); ok {
				e.add(item)
			}
		}
		return
	}
	path := []string{"spec", "template"}
	if kind == "CronJob" {
		path = []string{"spec", "jobTemplate"}
	}
	template, ok := dig(object, path...).(map[string]any)
	if !ok {
		return
	}
	version, _ := object["apiVersion"].(string)
	group, _, grouped := strings.Cut(version, "/")
	if !grouped {
		group = ""
	}
	name, _ := dig(object, "metadata", "name").(string)
	namespace, _ := dig(object, "metadata", "namespace").(string)
	e.templates[e.identify(group, kind, namespace, name)] = template
}

func (e *earlier) identify(group, kind, namespace, name string) identity {
	if group == "extensions" {
		group = "apps"
	}
	if namespace == "" {
		namespace = e.namespace
	}
	return identity{group, kind, namespace, name}
}

// carry compares a template with what it was before.
func (e *earlier) carry(object *kyaml.Node, shape shape, template *kyaml.Node, stable []label) (carried, error) {
	if len(e.templates) == 0 {
		return carried{}, nil
	}
	before, had := e.templates[e.identify(
		groupOf(object),
		scalar(lookup(object, "kind")),
		scalar(lookup(object, "metadata", "namespace")),
		scalar(lookup(object, "metadata", "name")),
	)]
	if !had {
		return carried{}, nil
	}
	written, err := kyaml.String(template)
	if err != nil {
		return carried{}, err
	}
	var now any
	if err := yaml.Unmarshal([]byte(written), &now); err != nil {
		return carried{}, err
	}

	labels := map[string]map[string]string{}
	commit := ""
	for _, place := range shape.places {
		ours := map[string]string{}
		for _, key := range []string{labelRelease, labelEnv, labelCommit} {
			if value, ok := dig(before, append(place[:len(place):len(place)], key)...).(string); ok {
				ours[key] = value
			}
		}
		labels[pathKey(place)] = ours
		// The last place is the pod's own.
		commit = ours[labelCommit]
	}
	if !reflect.DeepEqual(bare(before, shape), bare(now, shape)) {
		return carried{}, nil
	}
	if shape.fixed {
		return carried{whole: true, labels: labels}, nil
	}
	for _, place := range shape.places {
		for _, wanted := range stable {
			if labels[pathKey(place)][wanted.key] != wanted.value {
				// It gets a label that it had not: it changes anyway.
				return carried{}, nil
			}
		}
	}
	return carried{commit: commit}, nil
}

// bare is a template without our labels.
func bare(template any, shape shape) any {
	copied := clone(template)
	for _, place := range shape.places {
		labels, ok := dig(copied, place...).(map[string]any)
		if !ok {
			continue
		}
		for _, key := range []string{labelRelease, labelEnv, labelCommit} {
			delete(labels, key)
		}
		if len(labels) > 0 {
			continue
		}
		// A mapping that held only ours was not there before us.
		for depth := len(place); depth > 0; depth-- {
			parent, ok := dig(copied, place[:depth-1]...).(map[string]any)
			if !ok {
				break
			}
			if inner, ok := parent[place[depth-1]].(map[string]any); !ok || len(inner) > 0 {
				break
			}
			delete(parent, place[depth-1])
		}
	}
	return copied
}

func clone(value any) any {
	switch value := value.(type) {
	case map[string]any:
		copied := make(map[string]any, len(value))
		for key, inner := range value {
			copied[key] = clone(inner)
		}
		return copied
	case []any:
		copied := make([]any, len(value))
		for index, inner := range value {
			copied[index] = clone(inner)
		}
		return copied
	default:
		return value
	}
}

func dig(value any, path ...string) any {
	for _, key := range path {
		mapping, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = mapping[key]
	}
	return value
}

func pathKey(path []string) string { return strings.Join(path, ".") }
