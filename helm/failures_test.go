package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const canary = "canary-4711"

func TestErrorsAreToldApart(t *testing.T) {
	secrets := schema.GroupResource{Resource: "secrets"}
	conflicting := apierrors.NewApplyConflict([]metav1.StatusCause{{
		Type:    metav1.CauseTypeFieldManagerConflict,
		Field:   ".spec.replicas",
		Message: `conflict with "hpa" using apps/v1`,
	}}, "Apply failed with 1 conflict")
	ofObject := func(kind string, err error) error {
		return fmt.Errorf("conflict occurred while applying object shop/web apps/v1, Kind=%s: %w", kind, err)
	}
	for name, test := range map[string]struct {
		err    error
		kind   string
		object string
	}{
		"a conflict":  {ofObject("Deployment", conflicting), kindConflict, ""},
		"a refusal":   {ofObject("Service", apierrors.NewForbidden(secrets, "web", errors.New("no"))), kindRefused, "Service/web"},
		"both":        {errors.Join(ofObject("Deployment", conflicting), apierrors.NewBadRequest("bad")), kindRefused, ""},
		"too many":    {apierrors.NewTooManyRequests("later", 1), kindCluster, ""},
		"no network":  {&net.OpError{Op: "dial", Err: errors.New("refused")}, kindCluster, ""},
		"not ready":   {&notReady{errors.New("resource Deployment/shop/web not ready")}, kindNotReady, ""},
		"foreign":     {errors.New(`ConfigMap "web" in namespace "shop" exists and cannot be imported into the current release: x`), kindNotOurs, "ConfigMap/web"},
		"a template":  {errors.New("parse error at (web/templates/a.yaml:1): unexpected"), kindChart, ""},
		"required":    {errors.New("execution error at (web/templates/a.yaml:1:2): a size is required"), kindValues, ""},
		"a big chart": {apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "sh.helm.release.v1.web.v1", nil), kindOther, ""},
	} {
		judged := classify(test.err)
		if judged.Kind != test.kind || test.object != "" && judged.Object != test.object {
			t.Errorf("%s: %+v", name, judged)
		}
	}
	conflicts := classify(ofObject("Deployment", conflicting)).Conflicts
	if len(conflicts) != 1 || conflicts[0] != (conflict{"Deployment/web", ".spec.replicas", "hpa"}) {
		t.Errorf("%+v", conflicts)
	}
}

func TestNothingOfASecretIsQuoted(t *testing.T) {
	invalid := apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "web", nil)
	invalid.ErrStatus.Message = `Secret "web" is invalid: data: Invalid value: "` + canary + `"`
	typed := apierrors.NewInternalError(errors.New("x"))
	typed.ErrStatus.Message = `failed to create typed patch object (shop/web; /v1, Kind=Secret): .data: got ` + canary
	for _, err := range []error{
		invalid,
		typed,
		fmt.Errorf("server-side apply failed for object shop/web /v1, Kind=Secret: %w", apierrors.NewBadRequest(canary)),
		errors.Join(errors.New("first"), fmt.Errorf(`cannot patch "web" with kind Secret: %w`, apierrors.NewBadRequest(canary))),
	} {
		judged := classify(err)
		if strings.Contains(judged.Reason+judged.Object+describe(err), canary) {
			t.Errorf("%v gives %+v and %s", err, judged, describe(err))
		}
	}
	for _, line := range []string{
		"- at '/pin': '" + canary + "' does not match pattern '^[0-9]$'",
		"- at '/mail': '" + canary + "' is not valid email: missing @",
	} {
		if words := schemaWords(line); strings.Contains(words, canary) || !strings.Contains(words, "at '/") {
			t.Error(words)
		}
	}
}

func TestTextsAreScrubbed(t *testing.T) {
	s := &scrubber{}
	s.values(map[string]any{
		"db":      map[string]any{"password": canary},
		"tokens":  []any{"token-one", "token-two"},
		"message": "an ordinary word",
	}, false)
	text := s.clean("it says " + canary + " and token-two in an ordinary word")
	if text != "it says [hidden] and [hidden] in an ordinary word" {
		t.Error(text)
	}
	if long := s.clean(strings.Repeat("x", 2*longestText)); len(long) > longestText+8 {
		t.Error(len(long))
	}
}
