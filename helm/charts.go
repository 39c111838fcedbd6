package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/provenance"
)

const (
	maxArchive      = 32 << 20
	maxDecompressed = 64 << 20
)

func init() {
	archive.MaxDecompressedChartSize = maxDecompressed
}

// chartFault: the chart itself cannot be used.
type chartFault struct{ why string }

func (c *chartFault) Error() string { return c.why }

// provenanceFault: the signature does not hold.
type provenanceFault struct{ why string }

func (p *provenanceFault) Error() string { return p.why }

// loadChart reads and checks a chart's archive.
func loadChart(request *request) (*chart.Chart, error) {
	bytes, err := readFile(request.Chart, maxArchive)
	if err != nil {
		return nil, &chartFault{err.Error()}
	}
	if request.Prov != "" {
		if err := verify(bytes, request); err != nil {
			return nil, err
		}
	}
	return unpack(bytes)
}

func readFile(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be opened", filepath.Base(path))
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read", filepath.Base(path))
	}
	if int64(len(content)) > most {
		return nil, fmt.Errorf("%s is larger than %d MiB", filepath.Base(path), most>>20)
	}
	return content, nil
}

func verify(bytes []byte, request *request) error {
	prov, err := readFile(request.Prov, 1<<20)
	if err != nil {
		return &provenanceFault{err.Error()}
	}
	signatory, err := provenance.NewFromKeyring(request.Keyring, "")
	if err != nil {
		return &provenanceFault{"the keyring cannot be read: " + err.Error()}
	}
	// The file's name is part of what is signed; the archive on disk may have another one.
	name := strings.TrimSuffix(filepath.Base(request.Prov), ".prov")
	if _, err := signatory.Verify(bytes, prov, name); err != nil {
		return &provenanceFault{err.Error()}
	}
	return nil
}

func unpack(archived []byte) (*chart.Chart, error) {
	if err := plainFilesOnly(archived); err != nil {
		return nil, err
	}
	loaded, err := loader.LoadArchive(bytes.NewReader(archived))
	if err != nil {
		return nil, &chartFault{err.Error()}
	}
	if err := loaded.Validate(); err != nil {
		return nil, &chartFault{err.Error()}
	}
	if loaded.Metadata.Type == "library" {
		return nil, &chartFault{"it is a library chart, which other charts use and nobody installs"}
	}
	if err := dependenciesPresent(loaded); err != nil {
		return nil, err
	}
	if err := localSchemas(loaded); err != nil {
		return nil, err
	}
	return loaded, nil
}

// plainFilesOnly refuses links and devices; Helm would take them for empty files.
func plainFilesOnly(archived []byte) error {
	unzipped, err := gzip.NewReader(bytes.NewReader(archived))
	if err != nil {
		return &chartFault{"it is no gzip archive"}
	}
	entries := tar.NewReader(io.LimitReader(unzipped, maxDecompressed+1<<20))
	for {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &chartFault{fmt.Sprintf("it is no tar archive, or larger than %d MiB unpacked", maxDecompressed>>20)}
		}
		switch entry.Typeflag {
		case tar.TypeReg, tar.TypeDir, tar.TypeXGlobalHeader, tar.TypeXHeader:
		default:
			return &chartFault{fmt.Sprintf("%q is a link or a device; a chart holds plain files only", entry.Name)}
		}
	}
}

// dependenciesPresent: what Chart.yaml lists must be in the archive, as `helm install` demands.
func dependenciesPresent(loaded *chart.Chart) error {
	var missing []string
	for _, wanted := range loaded.Metadata.Dependencies {
		found := false
		for _, present := range loaded.Dependencies() {
			found = found || present.Name() == wanted.Name
		}
		if !found {
			missing = append(missing, wanted.Name)
		}
	}
	if len(missing) > 0 {
		return &chartFault{"its charts/ lacks " + strings.Join(missing, ", ") + "; run `helm dependency update` before packing it"}
	}
	return nil
}

// localSchemas refuses a values.schema.json that refers to something outside of itself: Helm would fetch it, from the web
// or from this machine's files.
func localSchemas(loaded *chart.Chart) error {
	if loaded.Schema != nil {
		var schema any
		if err := json.Unmarshal(loaded.Schema, &schema); err != nil {
			return &chartFault{"values.schema.json of " + loaded.Name() + " is no JSON"}
		}
		if reference := outside(schema, identifiers(schema, nil)); reference != "" {
			return &chartFault{fmt.Sprintf(
				"values.schema.json of %s refers to %q, which is not fetched; copy the definition into the file",
				loaded.Name(), reference)}
		}
	}
	for _, dependency := range loaded.Dependencies() {
		if err := localSchemas(dependency); err != nil {
			return err
		}
	}
	return nil
}

// identifiers are the names that a schema gives to its own parts.
func identifiers(schema any, found []string) []string {
	switch part := schema.(type) {
	case map[string]any:
		if id, ok := part["$id"].(string); ok {
			found = append(found, id)
		}
		for _, child := range part {
			found = identifiers(child, found)
		}
	case []any:
		for _, child := range part {
			found = identifiers(child, found)
		}
	}
	return found
}

// outside is the first reference that leads out of the schema; empty if none does.
func outside(schema any, own []string) string {
	switch part := schema.(type) {
	case map[string]any:
		for key, child := range part {
			if reference, ok := child.(string); ok && leadsOut(key, reference, own) {
				return reference
			}
			if reference := outside(child, own); reference != "" {
				return reference
			}
		}
	case []any:
		for _, child := range part {
			if reference := outside(child, own); reference != "" {
				return reference
			}
		}
	}
	return ""
}

func leadsOut(key, reference string, own []string) bool {
	switch key {
	case "$ref", "$dynamicRef", "$recursiveRef":
		if strings.HasPrefix(reference, "#") || isKnownDraft(reference) {
			return false
		}
		document, _, _ := strings.Cut(reference, "#")
		for _, id := range own {
			if id == document {
				return false
			}
		}
		return true
	case "$schema":
		return !isKnownDraft(reference)
	default:
		return false
	}
}

// isKnownDraft: the meta-schemas that the validator carries within itself.
func isKnownDraft(reference string) bool {
	reference = strings.TrimSuffix(reference, "#")
	reference = strings.TrimPrefix(strings.TrimPrefix(reference, "https://"), "http://")
	switch reference {
	case "json-schema.org/draft-04/schema", "json-schema.org/draft-06/schema", "json-schema.org/draft-07/schema",
		"json-schema.org/draft/2019-09/schema", "json-schema.org/draft/2020-12/schema", "json-schema.org/schema":
		return true
	}
	return false
}
