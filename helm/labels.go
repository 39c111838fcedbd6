package main

import (
	"bytes"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/kustomize/kyaml/kio"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// The names are part of the product's contract with clusters: crates/manifests has them too.
const (
	labelRelease    = "choerodon.io/release"
	labelEnv        = "choerodon.io/env"
	labelCommit     = "choerodon.io/commit"
	labelSpecDigest = "choerodon.io/spec-digest"
)

// label is one that every object gets.
type label struct{ key, value string }

// labeller is the post-render step: it writes the product's labels on every object and on every pod template, and nothing
// on selectors or volume claim templates, which must not change.
//
// The commit on a template changes only together with the template: otherwise every commit of an environment would
// roll every pod in it.
type labeller struct {
	confinement confinement
	stable      []label
	commit      *label
	earlier     earlier
	scrubber    *scrubber
	progress    *progress
}

func newLabeller(request *request, earlier earlier, scrubber *scrubber) *labeller {
	l := &labeller{confinement: confinement{namespace: request.Namespace}, earlier: earlier, scrubber: scrubber}
	for _, wanted := range []label{{labelRelease, request.Name}, {labelEnv, request.Environment}} {
		if isLabelValue(wanted.value) {
			l.stable = append(l.stable, wanted)
		}
	}
	if isLabelValue(request.Commit) {
		l.commit = &label{labelCommit, request.Commit}
	}
	return l
}

func isLabelValue(value string) bool {
	return value != "" && len(validation.IsValidLabelValue(value)) == 0
}

// Run is Helm's interface of a post-renderer.
func (l *labeller) Run(manifests *bytes.Buffer) (*bytes.Buffer, error) {
	// Helm comes here when the templates are done.
	l.progress.rendered.Store(true)
	// Anchors are expanded: with `labels: &x` and `selector: *x`, a label would land in the selector.
	objects, err := kio.FromBytes(manifests.Bytes())
	if err != nil {
		return nil, &chartFault{"a template gives no valid YAML: " + err.Error()}
	}
	for _, object := range objects {
		if err := l.object(object.YNode()); err != nil {
			return nil, err
		}
	}
	text, err := kio.StringAll(objects)
	if err != nil {
		return nil, fmt.Errorf("the labelled manifest cannot be written: %w", err)
	}
	if len(text) > maxManifest {
		return nil, &chartFault{fmt.Sprintf("it renders to more than %d MiB", maxManifest>>20)}
	}
	if err := l.confinement.manifest(text); err != nil {
		return nil, err
	}
	return bytes.NewBufferString(text), nil
}

const maxManifest = 16 << 20

func (l *labeller) object(node *kyaml.Node) error {
	if items := list(node); items != nil {
		for _, item := range items {
			if err := l.object(item); err != nil {
				return err
			}
		}
		return nil
	}
	if node.Kind != kyaml.MappingNode {
		return nil
	}
	l.scrubber.rendered(node)
	l.write(at(node, "metadata", "labels"), l.commit)

	shape, known := shapeOf(node)
	if !known {
		return nil
	}
	template := lookup(node, shape.template...)
	if template == nil || template.Kind != kyaml.MappingNode {
		return nil
	}
	carried, err := l.earlier.carry(node, shape, template, l.stable)
	if err != nil {
		return err
	}
	if carried.whole {
		// As it was: a Job's template cannot be changed, not even its labels.
		for _, place := range shape.places {
			l.restore(template, place, carried.labels[pathKey(place)])
		}
		return nil
	}
	commit := l.commit
	if commit != nil && carried.commit != "" {
		commit = &label{labelCommit, carried.commit}
	}
	for _, place := range shape.places {
		if lookup(template, place[:len(place)-2]...) == nil && len(place) > 2 {
			continue
		}
		l.write(at(template, place...), commit)
	}
	return nil
}

func (l *labeller) write(labels *kyaml.Node, commit *label) {
	for _, wanted := range l.stable {
		set(labels, wanted.key, wanted.value)
	}
	if commit != nil {
		set(labels, commit.key, commit.value)
	}
}

// restore gives a template exactly the labels of ours that it had.
func (l *labeller) restore(template *kyaml.Node, place []string, before map[string]string) {
	for _, key := range []string{labelRelease, labelEnv, labelCommit} {
		if value, had := before[key]; had {
			set(at(template, place...), key, value)
		}
	}
}

// shape tells where a kind keeps its pod template, and where that has labels.
type shape struct {
	template []string
	// places of labels below the template.
	places [][]string
	// fixed: the API server refuses any change of the template.
	fixed bool
}

var podLabels = []string{"metadata", "labels"}

func shapeOf(object *kyaml.Node) (shape, bool) {
	switch kind, group := scalar(lookup(object, "kind")), groupOf(object); {
	case (group == "apps" || group == "extensions") &&
		(kind == "Deployment" || kind == "StatefulSet" || kind == "DaemonSet" || kind == "ReplicaSet"):
		return shape{template: []string{"spec", "template"}, places: [][]string{podLabels}}, true
	case group == "" && kind == "ReplicationController":
		// Without a selector of its own the labels of the template become it.
		if selector := lookup(object, "spec", "selector"); selector == nil || len(selector.Content) == 0 {
			return shape{}, false
		}
		return shape{template: []string{"spec", "template"}, places: [][]string{podLabels}}, true
	case group == "batch" && kind == "Job":
		return shape{template: []string{"spec", "template"}, places: [][]string{podLabels}, fixed: true}, true
	case group == "batch" && kind == "CronJob":
		pod := append([]string{"spec", "template"}, podLabels...)
		return shape{template: []string{"spec", "jobTemplate"}, places: [][]string{podLabels, pod}}, true
	default:
		return shape{}, false
	}
}

func groupOf(object *kyaml.Node) string {
	group, _, grouped := bytes.Cut([]byte(scalar(lookup(object, "apiVersion"))), []byte("/"))
	if !grouped {
		return ""
	}
	return string(group)
}

// list gives the items of a `kind: List`, or of any other list kind.
func list(node *kyaml.Node) []*kyaml.Node {
	items := lookup(node, "items")
	if items == nil || items.Kind != kyaml.SequenceNode {
		return nil
	}
	kind := scalar(lookup(node, "kind"))
	if len(kind) < len("List") || kind[len(kind)-len("List"):] != "List" {
		return nil
	}
	return items.Content
}

// lookup follows keys; nil where one is missing.
func lookup(node *kyaml.Node, path ...string) *kyaml.Node {
	for _, key := range path {
		if node == nil || node.Kind != kyaml.MappingNode {
			return nil
		}
		node = child(node, key)
	}
	return node
}

func child(mapping *kyaml.Node, key string) *kyaml.Node {
	for index := 0; index+1 < len(mapping.Content); index += 2 {
		if mapping.Content[index].Value == key {
			return mapping.Content[index+1]
		}
	}
	return nil
}

// at follows keys and makes the mappings that are missing or null.
func at(node *kyaml.Node, path ...string) *kyaml.Node {
	for _, key := range path {
		next := child(node, key)
		switch {
		case next == nil:
			next = &kyaml.Node{Kind: kyaml.MappingNode, Tag: kyaml.NodeTagMap}
			node.Content = append(node.Content, text(key), next)
		case next.Kind != kyaml.MappingNode:
			*next = kyaml.Node{Kind: kyaml.MappingNode, Tag: kyaml.NodeTagMap}
		case len(next.Content) == 0:
			// `{}` would put everything on one line.
			next.Style = 0
		}
		node = next
	}
	return node
}

func set(mapping *kyaml.Node, key, value string) {
	if present := child(mapping, key); present != nil {
		*present = *quoted(value)
		return
	}
	mapping.Content = append(mapping.Content, text(key), quoted(value))
}

func text(value string) *kyaml.Node {
	return &kyaml.Node{Kind: kyaml.ScalarNode, Tag: kyaml.NodeTagString, Value: value}
}

// quoted is a string also to readers of YAML 1.1: `1234567` and `12e3456` are commits.
func quoted(value string) *kyaml.Node {
	node := text(value)
	node.Style = kyaml.DoubleQuotedStyle
	return node
}

func scalar(node *kyaml.Node) string {
	if node == nil || node.Kind != kyaml.ScalarNode {
		return ""
	}
	return node.Value
}
