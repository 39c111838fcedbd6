package main

import (
	"context"
	"slices"

	"helm.sh/helm/v4/pkg/action"

	rcommon "helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
)

func (s *session) upgrade() (any, error) {
	values, loaded, history, err := s.asked()
	if err != nil {
		return nil, err
	}
	newest := last(history)
	if newest == nil || newest.Info.Status == rcommon.StatusUninstalled {
		return nil, &failure{Kind: kindNotFound, Reason: "no release of this name is installed"}
	}
	if isUnfinished(newest) {
		return nil, pending(newest)
	}
	// What it holds and the new one does not is deleted.
	if err := s.confinement().stored(current(history)); err != nil {
		return nil, err
	}

	upgrade := action.NewUpgrade(s.config)
	upgrade.Namespace = s.request.Namespace
	// What is asked for is the whole truth: nothing is mixed in from earlier revisions.
	upgrade.ResetValues = true
	upgrade.MaxHistory = historyMax
	upgrade.Labels = s.labels()
	upgrade.Timeout = s.request.timeout()
	upgrade.WaitStrategy = s.waiting()
	upgrade.WaitOptions = s.waitOptions()
	upgrade.TakeOwnership = s.request.TakeOwnership
	upgrade.ForceConflicts = s.request.ForceConflicts && isServerSide(newest)
	upgrade.PostRenderer = s.labeller(history)
	s.hooks.events = []release.HookEvent{release.HookPreUpgrade, release.HookPostUpgrade}
	// Helm would leave its own goroutine at work when this context ends; waits have the deadline instead.
	made, err := upgrade.RunWithContext(context.WithoutCancel(s.ctx), s.request.Name, loaded, values)
	if err == nil {
		s.removeLeftOvers(history, made)
		return s.done(made)
	}
	s.settle("the upgrade failed")
	if !s.request.RollBack {
		return nil, err
	}
	return nil, s.wayBack(history, err)
}

// isServerSide: how the last revision was applied decides how the next one is.
func isServerSide(revision *release.Release) bool {
	return revision.ApplyMethod == string(release.ApplyMethodServerSideApply)
}

// wayBack restores the last good revision after a failed upgrade.
func (s *session) wayBack(history []*release.Release, cause error) error {
	failed := s.failure(cause)
	now, err := s.history()
	if err != nil {
		return failed
	}
	if len(now) == len(history) && last(now).Version == last(history).Version {
		// It failed before it wrote anything: there is nothing to take back.
		return failed
	}
	good := lastGood(now)
	if good == nil {
		return failed
	}
	again := *s.request
	again.Revision = good.Version
	again.Operation = "rollback"
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), s.request.timeout())
	defer cancel()
	back := newSession(ctx, s.cluster, &again)
	restored, err := back.rollback()
	if err != nil {
		failed.Reason += "; rolling back failed too: " + back.failure(err).words()
		return failed
	}
	return &failure{Kind: kindRolledBack, Revision: restored.(*done).Revision, Cause: failed}
}

// lastGood is the newest revision that went well.
func lastGood(history []*release.Release) *release.Release {
	for _, revision := range slices.Backward(history) {
		if revision.Info.Status == rcommon.StatusDeployed || revision.Info.Status == rcommon.StatusSuperseded {
			return revision
		}
	}
	return nil
}

func (f *failure) words() string {
	switch f.Kind {
	case kindConflict:
		if len(f.Conflicts) > 0 {
			first := f.Conflicts[0]
			return first.Field + " of " + first.Object + " belongs to " + first.Manager
		}
	case kindTimeout:
		return "it took too long"
	}
	return f.Reason
}
