package main

import (
	"bytes"
	"strings"
	"testing"
)

func labelled(t *testing.T, manifest, before, commit string) string {
	t.Helper()
	request := &request{Name: "web", Namespace: "shop", Environment: "env-1", Commit: commit}
	labeller := newLabeller(request, earlierTemplates(before, "shop"), &scrubber{})
	labeller.progress = &progress{}
	written, err := labeller.Run(bytes.NewBufferString(manifest))
	if err != nil {
		t.Fatal(err)
	}
	return written.String()
}

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - {name: web, image: "web:1"}
`

func TestTheCommitOfATemplateChangesWithTheTemplate(t *testing.T) {
	first := labelled(t, deployment, "", "aaa")
	if strings.Count(first, `choerodon.io/commit: "aaa"`) != 2 {
		t.Fatalf("object and template must be labelled:\n%s", first)
	}
	same := labelled(t, deployment, first, "bbb")
	if strings.Count(same, `choerodon.io/commit: "aaa"`) != 1 || strings.Count(same, `choerodon.io/commit: "bbb"`) != 1 {
		t.Fatalf("the template keeps its commit, the object does not:\n%s", same)
	}
	changed := labelled(t, strings.ReplaceAll(deployment, "web:1", "web:2"), same, "ccc")
	if strings.Count(changed, `choerodon.io/commit: "ccc"`) != 2 {
		t.Fatalf("a changed template gets the new commit:\n%s", changed)
	}
}

func TestAnchorsLeadNoLabelIntoASelector(t *testing.T) {
	shared := strings.Replace(deployment, "{matchLabels: {app: web}}", "{matchLabels: &l {app: web}}", 1)
	shared = strings.Replace(shared, "labels: {app: web}\n    spec", "labels: *l\n    spec", 1)
	if !strings.Contains(shared, "*l") {
		t.Fatal("the fixture has no alias")
	}
	written := labelled(t, shared, "", "aaa")
	selector := written[strings.Index(written, "selector:"):strings.Index(written, "template:")]
	if strings.Contains(selector, "choerodon.io") {
		t.Fatalf("the selector must stay as it is:\n%s", written)
	}
}

func TestLabelsStandWhereAndAsTheyShould(t *testing.T) {
	for name, test := range map[string]struct {
		manifest string
		commit   string
		counts   map[string]int
	}{
		"an item of a list": {
			"apiVersion: v1\nkind: ConfigMapList\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n", "aaa",
			map[string]int{`choerodon.io/release: "web"`: 1},
		},
		"null labels": {
			"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels:\n", "aaa",
			map[string]int{`choerodon.io/release: "web"`: 1},
		},
		"a number as commit is text": {
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "123456e7",
			map[string]int{`choerodon.io/commit: "123456e7"`: 1},
		},
		"what is no label value is left out": {
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "not a value",
			map[string]int{"choerodon.io/commit": 0, "choerodon.io/env": 1},
		},
		"a controller without a selector": {
			"apiVersion: v1\nkind: ReplicationController\nmetadata: {name: a}\nspec: {template: {metadata: {labels: {a: b}}}}\n", "aaa",
			map[string]int{"choerodon.io/commit": 1},
		},
		"claims of volumes": {
			strings.Replace(strings.Replace(deployment, "kind: Deployment", "kind: StatefulSet", 1), "  template:",
				"  volumeClaimTemplates:\n  - metadata: {name: data}\n  template:", 1), "aaa",
			map[string]int{"choerodon.io/commit": 2},
		},
	} {
		written := labelled(t, test.manifest, "", test.commit)
		for text, count := range test.counts {
			if strings.Count(written, text) != count {
				t.Errorf("%s: %q must be there %d times:\n%s", name, text, count, written)
			}
		}
	}
}

func TestAJobThatHadNoLabelsGetsNoneInItsTemplate(t *testing.T) {
	job := strings.NewReplacer("apps/v1", "batch/v1", "Deployment", "Job", "  selector: {matchLabels: {app: web}}\n", "").Replace(deployment)
	written := labelled(t, job, job, "aaa")
	if strings.Count(written, "choerodon.io/commit") != 1 {
		t.Fatalf("only the Job itself:\n%s", written)
	}
	fresh := labelled(t, job, "", "aaa")
	if strings.Count(fresh, "choerodon.io/commit") != 2 {
		t.Fatalf("a new Job has them on its template too:\n%s", fresh)
	}
}
