package main

import (
	"slices"

	"helm.sh/helm/v4/pkg/action"

	rcommon "helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
)

// install makes a release: a new one, or one over a history that holds nothing alive.
func (s *session) install() (any, error) {
	values, loaded, history, err := s.asked()
	if err != nil {
		return nil, err
	}
	over := last(history)
	if over != nil {
		if isUnfinished(over) {
			return nil, pending(over)
		}
		if isAlive(history) {
			return nil, &failure{Kind: kindExists, Revision: over.Version, Status: over.Info.Status.String()}
		}
	}

	brings, err := s.mayBring(loaded)
	if err != nil {
		return nil, err
	}

	install := action.NewInstall(s.config)
	install.ReleaseName = s.request.Name
	install.Namespace = s.request.Namespace
	// Only of use where there is a history; then its revisions go on.
	install.Replace = over != nil
	install.Labels = s.labels()
	install.Timeout = s.request.timeout()
	install.WaitStrategy = s.waiting()
	install.WaitOptions = s.waitOptions()
	install.TakeOwnership = s.request.TakeOwnership
	install.ForceConflicts = s.request.ForceConflicts
	install.PostRenderer = s.labeller(history)
	s.hooks.events = []release.HookEvent{release.HookPreInstall, release.HookPostInstall}
	install.SkipCRDs = !brings
	if brings && len(loaded.CRDObjects()) > 0 {
		// The kinds that they define must be seen by the chart's templates.
		s.config.Capabilities = nil
		defer s.cluster.forget()
	}
	made, err := install.RunWithContext(s.ctx, loaded, values)
	if err != nil {
		s.settle("the install failed")
		return nil, err
	}
	s.removeLeftOvers(history, made)
	return s.done(made)
}

// isAlive: the release was deployed and not uninstalled since. Not so after a first install that failed: there the hooks of
// an install are due again, while a failed upgrade is followed by another one.
func isAlive(history []*release.Release) bool {
	for _, revision := range slices.Backward(history) {
		switch revision.Info.Status {
		case rcommon.StatusUninstalled:
			return false
		case rcommon.StatusFailed:
		default:
			return true
		}
	}
	return false
}
