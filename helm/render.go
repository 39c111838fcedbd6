package main

import (
	"strings"

	"helm.sh/helm/v4/pkg/action"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	ri "helm.sh/helm/v4/pkg/release"

	rcommon "helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
)

// render tells what an install or upgrade would write.
func (s *session) render() (any, error) {
	values, loaded, history, err := s.asked()
	if err != nil {
		return nil, err
	}
	crds := documents(loaded)
	made, err := s.dryRun(loaded, values, history)
	if err != nil {
		return nil, err
	}
	revision, ok := made.(*release.Release)
	if !ok {
		return nil, &failure{Kind: kindOther, Reason: "Helm answered without a release"}
	}
	answer := rendered{
		Chart:    chartName(loaded),
		Manifest: revision.Manifest,
		Crds:     crds,
		Hooks:    make([]renderedHook, 0, len(revision.Hooks)),
		Notes:    s.scrubber.clean(revision.Info.Notes),
	}
	for _, hook := range revision.Hooks {
		shown := renderedHook{Kind: hook.Kind, Name: hook.Name, Events: []string{}, Manifest: hook.Manifest}
		for _, event := range hook.Events {
			shown.Events = append(shown.Events, string(event))
		}
		answer.Hooks = append(answer.Hooks, shown)
	}
	return answer, nil
}

func (s *session) dryRun(loaded *chart.Chart, values map[string]any, history []*release.Release) (ri.Releaser, error) {
	newest := last(history)
	alive := newest != nil && newest.Info.Status != rcommon.StatusUninstalled
	if alive && !isUnfinished(newest) {
		upgrade := action.NewUpgrade(s.config)
		upgrade.Namespace = s.request.Namespace
		upgrade.ResetValues = true
		upgrade.DryRunStrategy = action.DryRunServer
		upgrade.TakeOwnership = s.request.TakeOwnership
		upgrade.PostRenderer = s.labeller(history)
		upgrade.WaitStrategy = s.waiting()
		return upgrade.RunWithContext(s.ctx, s.request.Name, loaded, values)
	}
	install := action.NewInstall(s.config)
	install.ReleaseName = s.request.Name
	install.Namespace = s.request.Namespace
	install.IsUpgrade = alive
	install.DryRunStrategy = action.DryRunServer
	if s.request.Offline {
		install.DryRunStrategy = action.DryRunClient
	}
	install.TakeOwnership = s.request.TakeOwnership
	install.PostRenderer = s.labeller(history)
	install.WaitStrategy = s.waiting()
	return install.RunWithContext(s.ctx, loaded, values)
}

// documents are the chart's CRDs as one text.
func documents(loaded *chart.Chart) string {
	var text strings.Builder
	for _, crd := range loaded.CRDObjects() {
		text.WriteString("---\n")
		text.Write(crd.File.Data)
		text.WriteString("\n")
	}
	return text.String()
}
