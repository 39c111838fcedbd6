package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"syscall"
	"time"
)

// limitMemory ends the process when a chart makes it grow beyond C7N_HELM_MEMORY bytes.
//
// The garbage collector is told a limit below it; the kernel refuses what goes far beyond it between two looks (RLIMIT_DATA
// counts what may be written to; RLIMIT_AS would count what Go merely reserves).
func limitMemory() {
	limit, err := strconv.ParseInt(os.Getenv("C7N_HELM_MEMORY"), 10, 64)
	if err != nil || limit <= 0 {
		return
	}
	debug.SetMemoryLimit(limit / 10 * 8)
	hard := uint64(limit) + limit512
	_ = syscall.Setrlimit(rlimitData, &syscall.Rlimit{Cur: hard, Max: hard})
	go watchMemory(uint64(limit))
}

const (
	limit512   = 512 << 20
	rlimitData = 2
)

func watchMemory(limit uint64) {
	sample := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	for range time.Tick(50 * time.Millisecond) {
		metrics.Read(sample)
		if used := sample[0].Value.Uint64() - sample[1].Value.Uint64(); used > limit {
			_, _ = os.Stderr.WriteString("the memory limit is passed\n")
			os.Exit(exitMemory)
		}
	}
}
