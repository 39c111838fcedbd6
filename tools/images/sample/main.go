// sample is the application that the demo and the tests deliver: one small program with the traits of a real one.
//
//	sample          serves a page, keeps a counter on disk if asked to, and logs a numbered line every second
//	sample job      prints a few lines and ends
//	sample scrub D  empties the folder D (the cluster uses it to recycle volumes)
package main

import (
	"fmt"
	"log"
	"os"
)

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC | log.Lmicroseconds)
	log.SetOutput(os.Stdout)
	arguments := os.Args[1:]
	var err error
	switch {
	case len(arguments) > 0 && arguments[0] == "job":
		err = job(arguments[1:])
	case len(arguments) > 0 && arguments[0] == "scrub":
		err = scrub(arguments[1:])
	default:
		err = serve(arguments)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sample:", err)
		os.Exit(1)
	}
}
