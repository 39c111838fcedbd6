package main

import (
	rcommon "helm.sh/helm/v4/pkg/release/common"
)

const interrupted = "The process that worked on it was interrupted"

// recover brings a release that a killed process left unfinished to a state from which every operation works.
//
// Marking the newest revision as failed is all it takes, whatever the moment of the kill. Before: the deployed revision
// is still marked as deployed, and the next upgrade compares with it. After Helm superseded that one and before it noted
// the new one as deployed: no revision is deployed, and the next upgrade compares with the failed one, whose objects
// are those that live. An unfinished uninstallation goes on when it is asked for again, and an upgrade brings back what is
// missing.
func (s *session) recover() (any, error) {
	history, err := s.history()
	if err != nil {
		return nil, err
	}
	newest := last(history)
	if newest == nil {
		return recovered{Found: "absent"}, nil
	}
	was := newest.Info.Status
	if !isUnfinished(newest) {
		return recovered{Found: "sound", Revision: newest.Version, Status: was.String()}, nil
	}
	if err := s.markFailed(newest, interrupted); err != nil {
		return nil, err
	}
	// A release whose objects are all there may have had two revisions marked as deployed by an older fault; Helm takes
	// the newest, and so do we.
	return recovered{Found: "markedFailed", Revision: newest.Version, Was: was.String()}, nil
}

// status is the newest revision as it is recorded.
func (s *session) status() (any, error) {
	_, newest, err := s.existing()
	if err != nil {
		return nil, err
	}
	made, err := s.done(newest)
	if err != nil {
		return nil, err
	}
	if newest.Info.Status == rcommon.StatusUnknown {
		made.Status = "unknown"
	}
	return made, nil
}
