package main

import (
	"errors"
	"strings"

	"helm.sh/helm/v4/pkg/action"

	rcommon "helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
)

func (s *session) uninstall() (any, error) {
	history, err := s.history()
	if err != nil {
		return nil, err
	}
	newest := last(history)
	if newest == nil || newest.Info.Status == rcommon.StatusUninstalled && s.request.KeepHistory {
		return nil, &failure{Kind: kindNotFound, Reason: "no release of this name is installed"}
	}
	// What a chart was once allowed may go; Helm deletes nothing that bears the marks of others.
	inside := s.confinement()
	inside.kinds = nil
	if err := inside.stored(newest); err != nil {
		return nil, err
	}
	uninstall := action.NewUninstall(s.config)
	uninstall.KeepHistory = s.request.KeepHistory
	uninstall.Timeout = s.request.timeout()
	uninstall.WaitStrategy = s.waiting()
	uninstall.WaitOptions = s.waitOptions()
	uninstall.DeletionPropagation = "background"
	s.hooks.events = []release.HookEvent{release.HookPreDelete, release.HookPostDelete}
	response, err := uninstall.Run(s.request.Name)
	if err != nil {
		s.settle("the uninstallation failed")
		if strings.Contains(err.Error(), "failed to delete release") && len(s.client.deletion) > 0 {
			err = errors.Join(s.client.deletion...)
		}
		return nil, err
	}
	gone, err := s.done(response.Release)
	if err != nil {
		return nil, err
	}
	gone.Status = rcommon.StatusUninstalled.String()
	return gone, nil
}
