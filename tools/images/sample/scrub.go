package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func scrub(arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("scrub takes one folder")
	}
	entries, err := os.ReadDir(arguments[0])
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(arguments[0], entry.Name())); err != nil {
			return err
		}
	}
	return nil
}
