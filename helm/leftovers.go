package main

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	ri "helm.sh/helm/v4/pkg/release"
	rcommon "helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
)

// removeLeftOvers deletes what failed or killed operations made and the revision that went well does not want: Helm compares
// that one with a single earlier revision, and forgets the rest. All failed revisions that are kept are looked at, so that
// what a kill leaves here goes with the next operation.
func (s *session) removeLeftOvers(history []*release.Release, made ri.Releaser) {
	wanted, ok := made.(*release.Release)
	if !ok {
		return
	}
	for _, revision := range history {
		if revision.Info.Status != rcommon.StatusFailed || s.confinement().stored(revision) != nil {
			continue
		}
		before, err := s.client.Build(strings.NewReader(revision.Manifest), false)
		if err != nil {
			continue
		}
		now, err := s.client.Build(strings.NewReader(wanted.Manifest), false)
		if err != nil {
			return
		}
		if owned := before.Difference(now).Filter(s.isOurs); len(owned) > 0 {
			_, _ = s.client.Delete(owned, metav1.DeletePropagationBackground)
		}
	}
}
