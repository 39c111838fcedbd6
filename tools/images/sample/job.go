package main

import (
	"flag"
	"fmt"
	"log"
	"time"
)

func job(arguments []string) error {
	flags := flag.NewFlagSet("sample job", flag.ExitOnError)
	lines := flags.Int("lines", 3, "how many lines to print")
	every := flags.Duration("every", 100*time.Millisecond, "time between two lines")
	fail := flags.Bool("fail", false, "end with an error")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	for line := 1; line <= *lines; line++ {
		log.Printf("step %d of %d", line, *lines)
		time.Sleep(*every)
	}
	if *fail {
		return fmt.Errorf("told to fail by --fail")
	}
	log.Print("done")
	return nil
}
