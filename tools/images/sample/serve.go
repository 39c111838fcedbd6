package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

type server struct {
	greeting string
	version  string
	host     string
	config   string
	data     string
	healthy  bool
	visits   sync.Mutex
}

func serve(arguments []string) error {
	flags := flag.NewFlagSet("sample", flag.ExitOnError)
	listen := flags.String("listen", ":8080", "address to serve at")
	config := flags.String("config", "", "file or folder of settings, read anew for every page")
	data := flags.String("data", "", "folder to keep the number of visits in")
	logEvery := flags.Duration("log-every", time.Second, "time between two numbered log lines; 0 for none")
	exitAfter := flags.Duration("exit-after", 0, "end with an error after this time")
	failHealth := flags.Bool("fail-health", false, "answer /healthz with 503")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown command %q", flags.Arg(0))
	}

	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if *exitAfter > 0 {
		time.AfterFunc(*exitAfter, func() {
			log.Printf("ending after %s, as told by --exit-after", *exitAfter)
			os.Exit(3)
		})
	}
	if *logEvery > 0 {
		go tick(stopped, *logEvery)
	}

	host, _ := os.Hostname()
	site := &server{
		greeting: withDefault(os.Getenv("GREETING"), "hello"),
		version:  withDefault(os.Getenv("VERSION"), "unknown"),
		host:     host,
		config:   *config,
		data:     *data,
		healthy:  !*failHealth,
	}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /healthz", site.health)
	routes.HandleFunc("GET /", site.page)
	listener := &http.Server{Addr: *listen, Handler: routes, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(stopped, func() {
		deadline, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = listener.Shutdown(deadline)
	})
	log.Printf("sample %s serves at %s", site.version, *listen)
	if err := listener.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	log.Print("stopped")
	return nil
}

func tick(stopped context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for sequence := 1; ; sequence++ {
		select {
		case <-stopped.Done():
			return
		case <-ticker.C:
			log.Printf("line %d", sequence)
		}
	}
}

func (site *server) health(answer http.ResponseWriter, _ *http.Request) {
	if !site.healthy {
		http.Error(answer, "told to fail by --fail-health", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(answer, "ok")
}

func (site *server) page(answer http.ResponseWriter, request *http.Request) {
	fmt.Fprintf(answer, "%s\nversion %s on %s\n", site.greeting, site.version, site.host)
	if site.config != "" {
		settings, err := readSettings(site.config)
		if err != nil {
			http.Error(answer, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(answer, settings)
	}
	if site.data != "" {
		visits, err := site.countVisit()
		if err != nil {
			http.Error(answer, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(answer, "visit %d\n", visits)
	}
	log.Printf("served %s", request.URL.Path)
}

// readSettings prints a file, or every file of a folder as a mounted ConfigMap shows them (dot entries are its machinery).
func readSettings(path string) (string, error) {
	about, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !about.IsDir() {
		content, err := os.ReadFile(path)
		return string(content), err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return "", err
	}
	var settings strings.Builder
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(path, entry.Name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&settings, "%s=%s\n", entry.Name(), strings.TrimSpace(string(content)))
	}
	return settings.String(), nil
}

func (site *server) countVisit() (int, error) {
	site.visits.Lock()
	defer site.visits.Unlock()
	path := filepath.Join(site.data, "visits")
	visits := 0
	content, err := os.ReadFile(path)
	switch {
	case err == nil:
		if visits, err = strconv.Atoi(strings.TrimSpace(string(content))); err != nil {
			return 0, fmt.Errorf("%s holds no number: %w", path, err)
		}
	case !errors.Is(err, os.ErrNotExist):
		return 0, err
	}
	visits++
	return visits, os.WriteFile(path, []byte(strconv.Itoa(visits)+"\n"), 0o644)
}

func withDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
