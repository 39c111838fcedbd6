package main

import (
	"bytes"
	"encoding/json"
	"io"
	"sync"
	"time"
)

// protocolVersion changes when either side could misunderstand the other.
const protocolVersion = 2

type greeting struct {
	Protocol int    `json:"protocol"`
	Helm     string `json:"helm"`
}

// A request names its operation; the fields that an operation does not use are empty.
type request struct {
	ID        uint64 `json:"id"`
	Operation string `json:"op"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	TimeoutMs int64  `json:"timeoutMs"`

	Chart   string `json:"chart"`
	Prov    string `json:"prov"`
	Keyring string `json:"keyring"`
	Values  string `json:"values"`

	Environment string `json:"environment"`
	Commit      string `json:"commit"`
	SpecDigest  string `json:"specDigest"`

	// ClusterKinds without a namespace that the chart may hold; all if absent.
	ClusterKinds *[]string `json:"clusterKinds"`

	TakeOwnership  bool `json:"takeOwnership"`
	ForceConflicts bool `json:"forceConflicts"`
	// Stopped: workloads are written with nothing of them running.
	Stopped bool `json:"stopped"`
	// RollBack: workloads are waited for, and the last good revision is restored on failure.
	RollBack bool `json:"rollBack"`

	Revision    int  `json:"revision"`
	KeepHistory bool `json:"keepHistory"`
	// Offline: render without asking the cluster anything.
	Offline bool `json:"offline"`
}

func (r *request) timeout() time.Duration {
	return time.Duration(r.TimeoutMs) * time.Millisecond
}

// longest is the time after which the operation must have ended, whatever happened.
func (r *request) longest() time.Duration {
	if r.RollBack {
		// The way back gets the same time again.
		return 2 * r.timeout()
	}
	return r.timeout()
}

func parseRequest(line []byte) (*request, error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	var parsed request
	if err := decoder.Decode(&parsed); err != nil {
		return nil, err
	}
	return &parsed, nil
}

type answer struct {
	ID     uint64   `json:"id"`
	Result any      `json:"result,omitempty"`
	Error  *failure `json:"error,omitempty"`
}

type done struct {
	Revision       int       `json:"revision"`
	Status         string    `json:"status"`
	Chart          string    `json:"chart"`
	AppVersion     string    `json:"appVersion"`
	ManifestDigest string    `json:"manifestDigest"`
	Hooks          []hookRun `json:"hooks"`
	Notes          string    `json:"notes"`
}

type rendered struct {
	Chart    string         `json:"chart"`
	Manifest string         `json:"manifest"`
	Crds     string         `json:"crds"`
	Hooks    []renderedHook `json:"hooks"`
	Notes    string         `json:"notes"`
}

type renderedHook struct {
	Kind     string   `json:"kind"`
	Name     string   `json:"name"`
	Events   []string `json:"events"`
	Manifest string   `json:"manifest"`
}

type recovered struct {
	Found    string `json:"found"`
	Revision int    `json:"revision,omitempty"`
	Status   string `json:"status,omitempty"`
	Was      string `json:"was,omitempty"`
}

// hookRun is one hook that ran, or began to.
type hookRun struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Event   string `json:"event"`
	Phase   string `json:"phase"`
	Message string `json:"message"`
	Log     string `json:"log"`
}

// answers writes whole lines.
type answers struct {
	mutex   sync.Mutex
	encoder *json.Encoder
}

func newAnswers(output io.Writer) *answers {
	encoder := json.NewEncoder(output)
	encoder.SetEscapeHTML(false)
	return &answers{encoder: encoder}
}

func (a *answers) write(line any) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	// A parent that is gone is noticed at the input's end.
	_ = a.encoder.Encode(line)
}
