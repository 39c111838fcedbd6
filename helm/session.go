package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"text/template"

	"helm.sh/helm/v4/pkg/action"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/kube"
	ri "helm.sh/helm/v4/pkg/release"
	rcommon "helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage"
	"helm.sh/helm/v4/pkg/storage/driver"
	"sigs.k8s.io/yaml"
)

// historyMax is how many revisions are kept, as with the program.
const historyMax = 10

const longestNotes = 16 << 10

func init() {
	// The program's name for itself: with another one, `helm upgrade` by hand would conflict with us in every field.
	kube.ManagedFieldsManager = "helm"
}

func helmVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "helm.sh/helm/v4" {
				return module.Version
			}
		}
	}
	return "unknown"
}

// session is one operation on one release.
type session struct {
	request  *request
	cluster  *cluster
	ctx      context.Context
	hooks    *hooks
	client   *client
	config   *action.Configuration
	scrubber *scrubber
	progress *progress
}

// operate carries a request out; whatever goes wrong is in the answer.
func operate(ctx context.Context, cluster *cluster, request *request, progress *progress) (result answer) {
	ctx, cancel := context.WithTimeout(ctx, request.timeout())
	defer cancel()
	s := newSession(ctx, cluster, request)
	s.progress = progress
	result.ID = request.ID
	defer func() {
		if problem := recover(); problem != nil {
			// The problem's own text may quote anything.
			fmt.Fprintf(os.Stderr, "%s panicked with a %T\n", request.Operation, problem)
			result.Error = &failure{Kind: kindOther, Reason: "Helm gave up on this chart (a fault in its code)"}
			result.Result = nil
		}
	}()
	value, err := s.run()
	if err != nil {
		result.Error = s.failure(err)
		return result
	}
	result.Result = value
	return result
}

func newSession(ctx context.Context, cluster *cluster, request *request) *session {
	v := view{cluster, request.Namespace}
	hooks := &hooks{clients: cluster.clients, namespace: request.Namespace}
	client := newClient(ctx, v, hooks, request.Stopped)
	config := action.NewConfiguration(action.ConfigurationSetLogger(bareHandler{}))
	config.RESTClientGetter = v
	config.KubeClient = client
	secrets := driver.NewSecrets(cluster.clients.CoreV1().Secrets(request.Namespace))
	secrets.SetLogger(bareHandler{})
	config.Releases = storage.Init(secrets)
	config.Releases.MaxHistory = historyMax
	s := &session{
		request:  request,
		cluster:  cluster,
		ctx:      ctx,
		hooks:    hooks,
		client:   client,
		config:   config,
		scrubber: &scrubber{},
		progress: &progress{},
	}
	if !request.Offline {
		config.CustomTemplateFuncs = template.FuncMap{"lookup": s.lookup}
	}
	return s
}

func (s *session) run() (any, error) {
	if !s.request.Offline {
		if err := s.cluster.refresh(s.ctx); err != nil {
			return nil, err
		}
	}
	s.config.Capabilities = s.cluster.knownCapabilities()
	if !s.request.Offline {
		defer func() { s.cluster.learn(s.config.Capabilities) }()
	}
	switch s.request.Operation {
	case "install":
		return s.install()
	case "upgrade":
		return s.upgrade()
	case "rollback":
		return s.rollback()
	case "uninstall":
		return s.uninstall()
	case "test":
		return s.test()
	case "render":
		return s.render()
	case "recover":
		return s.recover()
	case "status":
		return s.status()
	default:
		return nil, &failure{Kind: kindOther, Reason: "an operation that this worker does not know"}
	}
}

// failure is an error as it leaves the process.
func (s *session) failure(err error) *failure {
	judged := classify(err)
	if stopped := s.hooks.failed(); stopped != nil && judged.Kind != kindRolledBack && judged.Kind != kindCluster {
		judged = &failure{Kind: kindHook, Reason: fmt.Sprintf(
			"the %s hook %s/%s failed: %s", stopped.Event, stopped.Kind, stopped.Name, stopped.Message)}
	}
	if judged.Kind == kindHook && judged.Hooks == nil {
		judged.Hooks = s.cleanHooks()
	}
	if judged.Kind == kindTimeout && judged.AfterMs == 0 {
		judged.AfterMs = s.request.TimeoutMs
	}
	s.cleanFailure(judged)
	return judged
}

func (s *session) cleanFailure(f *failure) {
	f.Reason = s.scrubber.clean(f.Reason)
	f.Object = s.scrubber.clean(f.Object)
	if f.Cause != nil {
		s.cleanFailure(f.Cause)
	}
}

func (s *session) cleanHooks() []hookRun {
	all := s.hooks.all()
	for index := range all {
		all[index].Message = s.scrubber.clean(all[index].Message)
		all[index].Log = s.scrubber.clean(all[index].Log)
	}
	return all
}

// values reads the request's values as Helm would.
func (s *session) values() (map[string]any, error) {
	values := map[string]any{}
	if err := yaml.Unmarshal([]byte(s.request.Values), &values); err != nil {
		// The parser quotes what it cannot read.
		return nil, &failure{Kind: kindValues, Reason: "they are no YAML mapping" + lineOf(err)}
	}
	s.scrubber.values(values, false)
	return values, nil
}

// asked is what a revision is to be made of, and those that are there.
func (s *session) asked() (map[string]any, *chart.Chart, []*release.Release, error) {
	values, err := s.values()
	if err != nil {
		return nil, nil, nil, err
	}
	loaded, err := loadChart(s.request)
	if err != nil {
		return nil, nil, nil, err
	}
	history, err := s.history()
	if err != nil {
		return nil, nil, nil, err
	}
	return values, loaded, history, nil
}

// lineOf is the place that a YAML error names.
func lineOf(err error) string {
	_, after, found := strings.Cut(err.Error(), "line ")
	if !found {
		return ""
	}
	end := strings.IndexFunc(after, func(r rune) bool { return r < '0' || r > '9' })
	if end < 1 {
		return ""
	}
	return " (line " + after[:end] + ")"
}

// history is every revision of the release, oldest first; empty if there is none, or if nobody is asked.
func (s *session) history() ([]*release.Release, error) {
	if s.request.Offline {
		return nil, nil
	}
	found, err := s.config.Releases.History(s.request.Name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	history := make([]*release.Release, 0, len(found))
	for _, one := range found {
		if revision, ok := one.(*release.Release); ok {
			history = append(history, revision)
		}
	}
	slices.SortFunc(history, func(a, b *release.Release) int { return a.Version - b.Version })
	return history, nil
}

// existing is the history of a release that must be there, and its newest revision.
func (s *session) existing() ([]*release.Release, *release.Release, error) {
	history, err := s.history()
	if err != nil {
		return nil, nil, err
	}
	newest := last(history)
	if newest == nil {
		return nil, nil, &failure{Kind: kindNotFound, Reason: "no release of this name"}
	}
	return history, newest, nil
}

func last(history []*release.Release) *release.Release {
	if len(history) == 0 {
		return nil
	}
	return history[len(history)-1]
}

// current is the revision that the cluster's objects are of: the newest deployed one, else the newest.
func current(history []*release.Release) *release.Release {
	for _, revision := range slices.Backward(history) {
		if revision.Info.Status == rcommon.StatusDeployed {
			return revision
		}
	}
	return last(history)
}

// isUnfinished: some process is at it, or died at it.
func isUnfinished(revision *release.Release) bool {
	return revision.Info.Status.IsPending() || revision.Info.Status == rcommon.StatusUninstalling
}

func pending(revision *release.Release) *failure {
	return &failure{Kind: kindPending, Revision: revision.Version, Status: revision.Info.Status.String()}
}

// labeller is the post-render step against the revision that is there now.
func (s *session) labeller(history []*release.Release) *labeller {
	before := earlier{namespace: s.request.Namespace}
	if revision := current(history); revision != nil && revision.Info.Status != rcommon.StatusUninstalled {
		before = earlierTemplates(revision.Manifest, s.request.Namespace)
	}
	labeller := newLabeller(s.request, before, s.scrubber)
	labeller.progress = s.progress
	labeller.confinement = s.confinement()
	return labeller
}

func (s *session) labels() map[string]string {
	if !isLabelValue(s.request.SpecDigest) {
		return nil
	}
	return map[string]string{labelSpecDigest: s.request.SpecDigest}
}

// waiting is what an operation waits for: hooks always, workloads only where their failure has a consequence.
func (s *session) waiting() kube.WaitStrategy {
	if s.request.RollBack {
		return kube.StatusWatcherStrategy
	}
	return kube.HookOnlyStrategy
}

func (s *session) waitOptions() []kube.WaitOption {
	return []kube.WaitOption{kube.WithWaitContext(s.ctx), kube.WithStatusComputeWorkers(4)}
}

// settle marks a revision as failed that the SDK left unfinished: it does so where a hook of a rollback or of an
// uninstallation fails, and every later operation would be refused.
func (s *session) settle(why string) {
	history, err := s.history()
	if err != nil {
		return
	}
	if revision := last(history); revision != nil && isUnfinished(revision) {
		_ = s.markFailed(revision, why)
	}
}

func (s *session) markFailed(revision *release.Release, why string) error {
	revision.SetStatus(rcommon.StatusFailed, why)
	return s.config.Releases.Update(revision)
}

func (s *session) done(found ri.Releaser) (*done, error) {
	revision, ok := found.(*release.Release)
	if !ok || revision == nil {
		return nil, errors.New("Helm answered without a release")
	}
	notes := s.scrubber.clean(revision.Info.Notes)
	if len(notes) > longestNotes {
		notes = notes[:longestNotes]
	}
	return &done{
		Revision:       revision.Version,
		Status:         revision.Info.Status.String(),
		Chart:          chartName(revision.Chart),
		AppVersion:     appVersion(revision.Chart),
		ManifestDigest: digest(revision.Manifest),
		Hooks:          s.cleanHooks(),
		Notes:          notes,
	}, nil
}

func chartName(loaded *chart.Chart) string {
	if loaded == nil || loaded.Metadata == nil {
		return ""
	}
	return loaded.Metadata.Name + "-" + loaded.Metadata.Version
}

func appVersion(loaded *chart.Chart) string {
	if loaded == nil || loaded.Metadata == nil {
		return ""
	}
	return loaded.Metadata.AppVersion
}

func digest(manifest string) string {
	sum := sha256.Sum256([]byte(manifest))
	return "sha256:" + hex.EncodeToString(sum[:])
}
