package main

import (
	"bytes"
	"crypto"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"helm.sh/helm/v4/pkg/provenance"
)

func TestASchemaStaysWithinItself(t *testing.T) {
	for schema, outsideOf := range map[string]string{
		`{"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"$ref": "#/definitions/a"}}}`: "",
		`{"$schema": "https://json-schema.org/draft/2020-12/schema"}`:                                              "",
		`{"$id": "https://a.example/s", "$ref": "https://a.example/s#/definitions/a"}`:                             "",
		`{"$ref": "https://a.example/s"}`:                                                                          "https://a.example/s",
		`{"$id": "https://a.example/s", "items": [{"$ref": "other.json"}]}`:                                        "other.json",
		`{"$ref": "file:///etc/passwd"}`:                                                                           "file:///etc/passwd",
		`{"$schema": "https://a.example/meta"}`:                                                                    "https://a.example/meta",
		`{"allOf": [{"anyOf": [{"$dynamicRef": "urn:a"}]}]}`:                                                       "urn:a",
	} {
		var parsed any
		if err := json.Unmarshal([]byte(schema), &parsed); err != nil {
			t.Fatal(err)
		}
		if found := outside(parsed, identifiers(parsed, nil)); found != outsideOf {
			t.Errorf("%s leads to %q, not %q", schema, found, outsideOf)
		}
	}
}

func TestASignatureHoldsForItsFileAndKeyAlone(t *testing.T) {
	folder := t.TempDir()
	archive := []byte("an archive")
	write := func(name string, content []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := &packet.Config{DefaultHash: crypto.SHA512, Algorithm: packet.PubKeyAlgoEdDSA}
	keyring := func(name string) (string, *openpgp.Entity) {
		entity, err := openpgp.NewEntity(name, "", name+"@example.org", config)
		if err != nil {
			t.Fatal(err)
		}
		var public bytes.Buffer
		if err := entity.Serialize(&public); err != nil {
			t.Fatal(err)
		}
		return write(name+".gpg", public.Bytes()), entity
	}
	ours, signer := keyring("ours")
	others, _ := keyring("others")
	sum, err := provenance.Digest(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	var signed bytes.Buffer
	plain, err := clearsign.Encode(&signed, signer.PrivateKey, config)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = plain.Write([]byte("name: web\n...\nfiles:\n  web-1.0.0.tgz: sha256:" + sum + "\n"))
	if err := plain.Close(); err != nil {
		t.Fatal(err)
	}
	prov := write("web-1.0.0.tgz.prov", signed.Bytes())
	renamed := write("web-2.0.0.tgz.prov", signed.Bytes())

	if err := verify(archive, &request{Prov: prov, Keyring: ours}); err != nil {
		t.Errorf("a good signature: %v", err)
	}
	for name, bad := range map[string]error{
		"another key":     verify(archive, &request{Prov: prov, Keyring: others}),
		"another archive": verify([]byte("changed"), &request{Prov: prov, Keyring: ours}),
		"another name":    verify(archive, &request{Prov: renamed, Keyring: ours}),
		"no signature":    verify(archive, &request{Prov: write("x.tgz.prov", archive), Keyring: ours}),
		"no keyring":      verify(archive, &request{Prov: prov, Keyring: filepath.Join(folder, "none")}),
	} {
		if _, ok := bad.(*provenanceFault); !ok {
			t.Errorf("%s is taken: %v", name, bad)
		}
	}
}

func TestAnArchiveOfSomethingElseIsRefused(t *testing.T) {
	for _, content := range []string{"", "text", "\x1f\x8b\x08 broken"} {
		if _, err := unpack([]byte(content)); err == nil || strings.Contains(err.Error(), "panic") {
			t.Errorf("%q: %v", content, err)
		}
	}
}
