package main

import (
	"helm.sh/helm/v4/pkg/action"

	rcommon "helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
)

// test runs the test hooks of the deployed revision.
func (s *session) test() (any, error) {
	history, err := s.history()
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
	if err := s.confinement().stored(newest); err != nil {
		return nil, err
	}
	test := action.NewReleaseTesting(s.config)
	test.Namespace = s.request.Namespace
	test.Timeout = s.request.timeout()
	test.WaitOptions = s.waitOptions()
	s.hooks.events = []release.HookEvent{release.HookTest}
	tested, shutdown, err := test.Run(s.request.Name)
	if shutdown != nil {
		// The policy of test hooks: some are deleted when they are over.
		if cleared := shutdown(); err == nil {
			err = cleared
		}
	}
	if err != nil {
		return nil, err
	}
	return s.done(tested)
}
