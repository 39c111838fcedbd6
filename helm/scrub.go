package main

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

const (
	// shortestSecret: shorter values would take ordinary words out of messages.
	shortestSecret = 6
	longestText    = 4 << 10
	hidden         = "[hidden]"
)

// tellsSecret: keys of values whose content is taken for a secret.
var tellsSecret = regexp.MustCompile(`(?i)pass|secret|token|key|cred|auth|private|cert|dsn|conn`)

// scrubber takes out of texts what is secret: what rendered Secrets hold, and what values hold under telling keys. Charts,
// API servers and hooks quote such things in the middle of their messages.
type scrubber struct{ secrets []string }

func (s *scrubber) add(secret string) {
	for _, text := range append(strings.Split(secret, "\n"), secret) {
		text = strings.TrimSpace(text)
		if len(text) >= shortestSecret && utf8.ValidString(text) && !slices.Contains(s.secrets, text) {
			s.secrets = append(s.secrets, text)
		}
	}
}

// values notes what a chart's values hold under keys that tell of a secret.
func (s *scrubber) values(value any, telling bool) {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			s.values(inner, telling || tellsSecret.MatchString(key))
		}
	case []any:
		for _, inner := range value {
			s.values(inner, telling)
		}
	case string:
		if telling {
			s.add(value)
		}
	}
}

// rendered notes what a Secret holds.
func (s *scrubber) rendered(object *kyaml.Node) {
	if scalar(lookup(object, "kind")) != "Secret" {
		return
	}
	if data := lookup(object, "data"); data != nil && data.Kind == kyaml.MappingNode {
		for index := 1; index < len(data.Content); index += 2 {
			encoded := data.Content[index].Value
			s.add(encoded)
			if decoded, err := base64.StdEncoding.DecodeString(encoded); err == nil {
				s.add(string(decoded))
			}
		}
	}
	if data := lookup(object, "stringData"); data != nil && data.Kind == kyaml.MappingNode {
		for index := 1; index < len(data.Content); index += 2 {
			s.add(data.Content[index].Value)
			s.add(base64.StdEncoding.EncodeToString([]byte(data.Content[index].Value)))
		}
	}
}

// clean is a text without secrets, cut to a bearable length.
func (s *scrubber) clean(text string) string {
	if len(s.secrets) > 0 {
		// Longest first: one may hold another.
		slices.SortFunc(s.secrets, func(a, b string) int { return len(b) - len(a) })
		for _, secret := range s.secrets {
			text = strings.ReplaceAll(text, secret, hidden)
		}
	}
	if len(text) > longestText {
		text = strings.ToValidUTF8(text[:longestText], "") + " …"
	}
	return text
}
