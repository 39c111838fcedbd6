package main

import (
	"context"
	"flag"
	"io"
	"log"
	"log/slog"
	"os"

	"k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"
)

// silence keeps the libraries from printing: their words quote objects, and objects can be Secrets.
func silence() {
	log.SetOutput(io.Discard)
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	_ = flags.Set("logtostderr", "false")
	_ = flags.Set("alsologtostderr", "false")
	_ = flags.Set("stderrthreshold", "4")
	klog.SetOutput(io.Discard)
	runtime.ErrorHandlers = nil //nolint:reassign // they print
	slog.SetDefault(slog.New(bareHandler{}))
}

// bareHandler prints a warning's fixed words and none of what came with it.
type bareHandler struct{}

func (bareHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

func (bareHandler) Handle(_ context.Context, record slog.Record) error {
	// Some messages are made with values in them; the known ones that matter are short and fixed.
	if len(record.Message) <= 80 {
		_, err := os.Stderr.WriteString("helm: " + record.Message + "\n")
		return err
	}
	return nil
}

func (h bareHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

func (h bareHandler) WithGroup(string) slog.Handler { return h }
