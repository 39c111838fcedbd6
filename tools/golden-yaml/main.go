// Command golden-yaml writes down what Kubernetes reads in a corpus of YAML texts.
//
// It takes the folder of the corpus, runs every case in cases/ through sigs.k8s.io/yaml and writes expected.jsonl beside it, which
// the tests of crates/manifests hold the Rust reader to. Run it after adding a case:
//
//	go run . ../../crates/manifests/tests/golden
//
// Cases: scalars.txt has a value per line, keys.txt a key per line, documents.txt whole documents under "=== name", escaped.jsonl
// whole documents as JSON strings.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

type answer struct {
	Name string `json:"name"`
	YAML string `json:"yaml"`
	// What Kubernetes reads; absent where it refuses.
	JSON json.RawMessage `json:"json,omitempty"`
	// Why the lenient reader refuses.
	Error string `json:"error,omitempty"`
	// Why the strict reader refuses what the lenient one takes: duplicate keys.
	Strict string `json:"strict,omitempty"`
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: golden-yaml FOLDER")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(folder string) error {
	cases, err := read(filepath.Join(folder, "cases"))
	if err != nil {
		return err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	for _, c := range cases {
		if got, err := yaml.YAMLToJSON([]byte(c.YAML)); err != nil {
			c.Error = err.Error()
		} else {
			c.JSON = got
			if _, err := yaml.YAMLToJSONStrict([]byte(c.YAML)); err != nil {
				c.Strict = err.Error()
			}
		}
		if err := encoder.Encode(c); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	return os.WriteFile(filepath.Join(folder, "expected.jsonl"), out.Bytes(), 0o644)
}

func read(folder string) ([]answer, error) {
	var cases []answer
	for _, probe := range []struct{ file, shape string }{{"scalars.txt", "v: %s\n"}, {"keys.txt", "%s: v\n"}} {
		found, err := lines(filepath.Join(folder, probe.file))
		if err != nil {
			return nil, err
		}
		for _, line := range found {
			cases = append(cases, answer{Name: probe.file + " " + line, YAML: fmt.Sprintf(probe.shape, line)})
		}
	}
	text, err := os.ReadFile(filepath.Join(folder, "documents.txt"))
	if err != nil {
		return nil, err
	}
	for _, part := range strings.Split("\n"+string(text), "\n=== ")[1:] {
		name, body, _ := strings.Cut(part, "\n")
		cases = append(cases, answer{Name: name, YAML: strings.TrimSuffix(body, "\n") + "\n"})
	}
	quoted, err := lines(filepath.Join(folder, "escaped.jsonl"))
	if err != nil {
		return nil, err
	}
	for _, line := range quoted {
		var body string
		if err := json.Unmarshal([]byte(line), &body); err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		cases = append(cases, answer{Name: line, YAML: body})
	}
	return cases, nil
}

func lines(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var found []string
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		found = append(found, scanner.Text())
	}
	return found, scanner.Err()
}
