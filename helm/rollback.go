package main

import (
	"fmt"

	"helm.sh/helm/v4/pkg/action"

	release "helm.sh/helm/v4/pkg/release/v1"
)

func (s *session) rollback() (any, error) {
	history, newest, err := s.existing()
	if err != nil {
		return nil, err
	}
	if isUnfinished(newest) {
		return nil, pending(newest)
	}
	var target *release.Release
	for _, revision := range history {
		if revision.Version == s.request.Revision {
			target = revision
		}
	}
	if target == nil {
		return nil, &failure{Kind: kindNotFound, Reason: fmt.Sprintf("revision %d is not kept", s.request.Revision)}
	}

	for _, revision := range []*release.Release{target, newest} {
		if err := s.confinement().stored(revision); err != nil {
			return nil, err
		}
	}

	rollback := action.NewRollback(s.config)
	rollback.Version = s.request.Revision
	rollback.MaxHistory = historyMax
	rollback.Timeout = s.request.timeout()
	rollback.WaitStrategy = s.waiting()
	rollback.WaitOptions = s.waitOptions()
	rollback.ForceConflicts = s.request.ForceConflicts && isServerSide(target)
	s.hooks.events = []release.HookEvent{release.HookPreRollback, release.HookPostRollback}
	if err := rollback.Run(s.request.Name); err != nil {
		s.settle("the rollback failed")
		return nil, err
	}
	now, err := s.config.Releases.Get(s.request.Name, newest.Version+1)
	if err != nil {
		return nil, err
	}
	s.removeLeftOvers(history, now)
	return s.done(now)
}
