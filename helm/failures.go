package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"helm.sh/helm/v4/pkg/storage/driver"
)

// Kinds of failures, as crates/helm knows them.
const (
	kindChart      = "chart"
	kindProvenance = "provenance"
	kindValues     = "values"
	kindCluster    = "cluster"
	kindRefused    = "refused"
	kindConflict   = "conflict"
	kindNotOurs    = "notOurs"
	kindHook       = "hook"
	kindNotReady   = "notReady"
	kindRolledBack = "rolledBack"
	kindTimeout    = "timeout"
	kindPending    = "pending"
	kindNotFound   = "notFound"
	kindExists     = "exists"
	kindOther      = "other"
)

type failure struct {
	Kind      string     `json:"kind"`
	Reason    string     `json:"reason,omitempty"`
	Object    string     `json:"object,omitempty"`
	Conflicts []conflict `json:"conflicts,omitempty"`
	Hooks     []hookRun  `json:"hooks,omitempty"`
	Revision  int        `json:"revision,omitempty"`
	Status    string     `json:"status,omitempty"`
	AfterMs   int64      `json:"afterMs,omitempty"`
	Cause     *failure   `json:"cause,omitempty"`
}

type conflict struct {
	Object  string `json:"object"`
	Field   string `json:"field"`
	Manager string `json:"manager"`
}

func (f *failure) Error() string { return f.Reason }

// leaf is one innermost error, with the object that the words around it name.
type leaf struct {
	object string
	err    error
}

var (
	ofObject = regexp.MustCompile(`(?:applying object|failed for object|upgrade managed fields for object|get object) [^/\s]*/(\S+) \S*, Kind=(\w+)`)
	imported = regexp.MustCompile(`(\w+) "([^"]+)" in namespace "[^"]*" exists and cannot be imported into the current release: (?:invalid ownership metadata; )?`)
	manager  = regexp.MustCompile(`conflict with "([^"]+)"`)
	patching = regexp.MustCompile(`cannot patch "([^"]+)" with kind (\w+)`)
	location = regexp.MustCompile(`^(\s*- )?(at '[^']*'): ('.*?'|".*?"|\S+) (does not match|is not valid)`)
)

// classify turns Helm's error into one that tells a person what to do. It trusts no text with a Secret's name near it.
func classify(err error) *failure {
	var own *failure
	if errors.As(err, &own) {
		return own
	}
	var chart *chartFault
	var signature *provenanceFault
	var waiting *notReady
	switch {
	case errors.As(err, &chart):
		return &failure{Kind: kindChart, Reason: chart.why}
	case errors.As(err, &signature):
		return &failure{Kind: kindProvenance, Reason: signature.why}
	case errors.Is(err, driver.ErrReleaseNotFound), errors.Is(err, driver.ErrNoDeployedReleases):
		return &failure{Kind: kindNotFound, Reason: "no release of this name"}
	case errors.Is(err, driver.ErrReleaseExists):
		return &failure{Kind: kindOther, Reason: "another process wrote a revision at the same time; it is looked at again"}
	case errors.As(err, &waiting):
		return &failure{Kind: kindNotReady, Reason: waitingFor(err)}
	case isUnreachable(err):
		return &failure{Kind: kindCluster, Reason: describe(err)}
	}
	var conflicts []conflict
	var first *failure
	for _, leaf := range leaves(err, "", nil) {
		judged := judge(leaf)
		if judged == nil {
			continue
		}
		conflicts = append(conflicts, judged.Conflicts...)
		if first == nil && judged.Kind != kindConflict {
			first = judged
		}
	}
	// What was refused outright counts more than a conflict, which may be settled.
	if first != nil {
		return first
	}
	if len(conflicts) > 0 {
		return &failure{Kind: kindConflict, Conflicts: conflicts}
	}
	return byWords(err)
}

// leaves walks down to the innermost errors.
func leaves(err error, object string, found []leaf) []leaf {
	if match := ofObject.FindStringSubmatch(firstLine(err)); match != nil {
		object = match[2] + "/" + match[1]
	} else if match := patching.FindStringSubmatch(firstLine(err)); match != nil {
		object = match[2] + "/" + match[1]
	}
	switch wrapped := err.(type) {
	case interface{ Unwrap() []error }:
		for _, inner := range wrapped.Unwrap() {
			// Each of several has an object of its own.
			found = leaves(inner, "", found)
		}
		return found
	case interface{ Unwrap() error }:
		if inner := wrapped.Unwrap(); inner != nil {
			return leaves(inner, object, found)
		}
	}
	return append(found, leaf{object, err})
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func judge(leaf leaf) *failure {
	var status apierrors.APIStatus
	if !errors.As(leaf.err, &status) {
		if meta.IsNoMatchError(leaf.err) {
			return unknownKind(leaf.err.Error())
		}
		return nil
	}
	answered := status.Status()
	object := leaf.object
	if object == "" {
		object = named(answered.Details)
	}
	switch {
	case answered.Code == 409 && hasFieldConflicts(answered.Details):
		var conflicts []conflict
		for _, cause := range answered.Details.Causes {
			owner := "another manager"
			if match := manager.FindStringSubmatch(cause.Message); match != nil {
				owner = match[1]
			}
			conflicts = append(conflicts, conflict{Object: object, Field: cause.Field, Manager: owner})
		}
		return &failure{Kind: kindConflict, Conflicts: conflicts}
	case isMisfit(answered):
		return &failure{Kind: kindRefused, Object: object, Reason: words(object, answered)}
	case answered.Code == 429, answered.Code >= 500, answered.Code == 401, answered.Reason == metav1.StatusReasonTimeout:
		return &failure{Kind: kindCluster, Reason: object + ": " + words(object, answered)}
	case isReleaseRecord(answered):
		return &failure{Kind: kindOther, Reason: "the release's record is larger than a Secret may be (1 MiB): " +
			"keep large files out of values and chart"}
	default:
		return &failure{Kind: kindRefused, Object: object, Reason: words(object, answered)}
	}
}

// words of the API server, unless they are about a Secret: then its reason alone.
func words(object string, answered metav1.Status) string {
	if isAboutSecret(object, answered) {
		reason := string(answered.Reason)
		switch {
		case isMisfit(answered):
			reason = "a field has the wrong type"
		case reason == "":
			reason = fmt.Sprintf("status %d", answered.Code)
		}
		return reason + " (what a Secret holds is not shown; check its type, its keys and that values are text)"
	}
	return answered.Message
}

// isMisfit: a field has another type than its kind wants. The API server calls that a fault of its own (500).
func isMisfit(answered metav1.Status) bool {
	return answered.Code == 500 && strings.Contains(answered.Message, "failed to create typed patch object")
}

func isAboutSecret(object string, answered metav1.Status) bool {
	if strings.HasPrefix(object, "Secret/") {
		return true
	}
	if details := answered.Details; details != nil && strings.HasPrefix(strings.ToLower(details.Kind), "secret") {
		return true
	}
	return strings.Contains(answered.Message, "Kind=Secret") || strings.HasPrefix(answered.Message, "Secret ")
}

func isReleaseRecord(answered metav1.Status) bool {
	details := answered.Details
	return details != nil && strings.HasPrefix(details.Name, "sh.helm.release.v1.") &&
		(answered.Code == 422 || answered.Code == 413)
}

func hasFieldConflicts(details *metav1.StatusDetails) bool {
	if details == nil {
		return false
	}
	for _, cause := range details.Causes {
		if cause.Type == metav1.CauseTypeFieldManagerConflict {
			return true
		}
	}
	return false
}

func named(details *metav1.StatusDetails) string {
	if details == nil || details.Kind == "" {
		return "an object"
	}
	return details.Kind + "/" + details.Name
}

func unknownKind(text string) *failure {
	return &failure{Kind: kindRefused, Object: "an object of an unknown kind", Reason: text +
		" (install what defines this kind first)"}
}

// byWords judges errors that have no type of their own.
func byWords(err error) *failure {
	text := err.Error()
	switch {
	case imported.MatchString(text):
		match := imported.FindStringSubmatchIndex(text)
		object := text[match[2]:match[3]] + "/" + text[match[4]:match[5]]
		return &failure{Kind: kindNotOurs, Object: object, Reason: firstWords(text[match[1]:])}
	case strings.Contains(text, "no matches for kind"):
		return unknownKind(firstWords(text))
	case strings.Contains(text, "values don't meet the specifications of the schema"):
		return &failure{Kind: kindValues, Reason: schemaWords(text)}
	case strings.Contains(text, "execution error at"):
		// The chart's own words, by `required` or `fail`.
		return &failure{Kind: kindValues, Reason: text}
	case strings.Contains(text, "another operation (install/upgrade/rollback) is in progress"):
		return &failure{Kind: kindPending, Status: "pending"}
	case strings.Contains(text, "cannot reuse a name that is still in use"):
		return &failure{Kind: kindExists}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{Kind: kindTimeout}
	case strings.Contains(text, "template"), strings.Contains(text, "YAML"), strings.Contains(text, "parse error"),
		strings.Contains(text, "chart requires kubeVersion"), strings.Contains(text, "unable to build kubernetes objects"),
		strings.Contains(text, "error while running post render"), strings.Contains(text, "error merging manifests"):
		return &failure{Kind: kindChart, Reason: text}
	default:
		return &failure{Kind: kindOther, Reason: text}
	}
}

// schemaWords leaves out the values that the validator quotes: a password that breaks a pattern is still one.
func schemaWords(text string) string {
	lines := strings.Split(text, "\n")
	for index, line := range lines {
		lines[index] = location.ReplaceAllString(line, "$1$2: the value $4")
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

func firstWords(text string) string {
	text, _, _ = strings.Cut(text, " && ")
	return strings.TrimSpace(text)
}

// describe is an error in words, with a Secret's told by its name alone.
func describe(err error) string {
	var parts []string
	for _, leaf := range leaves(err, "", nil) {
		var status apierrors.APIStatus
		if errors.As(leaf.err, &status) {
			answered := status.Status()
			object := leaf.object
			if object == "" {
				object = named(answered.Details)
			}
			parts = append(parts, object+": "+words(object, answered))
			continue
		}
		var web *url.Error
		if errors.As(leaf.err, &web) {
			parts = append(parts, web.Err.Error())
			continue
		}
		parts = append(parts, leaf.err.Error())
	}
	return strings.Join(parts, "; ")
}

// waitingFor tells what did not become ready; that the time was over is known.
func waitingFor(err error) string {
	var parts []string
	for _, leaf := range leaves(err, "", nil) {
		if !errors.Is(leaf.err, context.DeadlineExceeded) {
			parts = append(parts, strings.TrimPrefix(leaf.err.Error(), "resource "))
		}
	}
	if len(parts) == 0 {
		return "the objects did not become ready"
	}
	return strings.Join(parts, "; ")
}

func isUnreachable(err error) bool {
	var down *unreachable
	if errors.As(err, &down) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) {
		return true
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return false
	}
	var network net.Error
	return errors.As(err, &network) && !errors.Is(err, context.DeadlineExceeded)
}
