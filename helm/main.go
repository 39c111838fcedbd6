// Command c7n-helm changes Helm releases for the agent: a long-lived worker on Helm's own SDK.
//
// In: one request per line of standard input. Out: one answer per line of standard output, in order, one operation at a
// time; the first line greets with the protocol's version. Never: a plugin, a download, a name looked up for a chart, a
// child process; the contents of a Secret in an answer or on standard error.
//
// It ends when its input ends or on SIGTERM: the operation in hand is cancelled and recorded as failed first.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// exitStuck: an operation did not end although its time was over.
	exitStuck = 70
	// exitMemory: the memory limit was passed.
	exitMemory = 71
	// exitProtocol: a request could not be read.
	exitProtocol = 72
)

// maxRequest bounds one request: values are the largest part.
const maxRequest = 32 << 20

// settleTime is what an operation gets to note that its time is over.
const settleTime = 2 * time.Second

// renderTime bounds the templates: a chart that loops would otherwise burn a core until the operation's own deadline. It
// covers what comes before, the establishing of CRDs too.
const renderTime = 90 * time.Second

func main() {
	silence()
	limitMemory()
	context, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	answers := newAnswers(os.Stdout)
	cluster, err := openCluster(os.Getenv("C7N_HELM_KUBECONFIG"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "the kubeconfig cannot be used")
		os.Exit(1)
	}
	answers.write(greeting{Protocol: protocolVersion, Helm: helmVersion()})
	os.Exit(serve(context, cluster, os.Stdin, answers))
}

// serve carries out one request after another.
func serve(ctx context.Context, cluster *cluster, input io.Reader, answers *answers) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	requests := make(chan *request)
	broken := make(chan error, 1)
	go func() {
		broken <- read(ctx, input, requests)
		// Nobody waits for an answer any more.
		cancel()
	}()
	for {
		select {
		case <-ctx.Done():
			select {
			case err := <-broken:
				if err != nil {
					fmt.Fprintln(os.Stderr, "a request cannot be read")
					return exitProtocol
				}
			default:
			}
			return 0
		case request := <-requests:
			if !carryOut(ctx, cluster, request, answers) {
				return exitStuck
			}
		}
	}
}

// carryOut answers one request; false if the operation goes on although it should have ended: the process has to go.
func carryOut(ctx context.Context, cluster *cluster, request *request, answers *answers) bool {
	progress := &progress{}
	done := make(chan answer, 1)
	go func() {
		done <- operate(ctx, cluster, request, progress)
	}()
	over := time.NewTimer(request.longest() + settleTime)
	defer over.Stop()
	rendering := time.NewTimer(renderTime)
	defer rendering.Stop()
	cancelled := ctx.Done()
	var settled <-chan time.Time
	for {
		select {
		case answer := <-done:
			answers.write(answer)
			return true
		case <-over.C:
			answers.write(answer{ID: request.ID, Error: &failure{Kind: kindTimeout, AfterMs: request.TimeoutMs}})
			return false
		case <-rendering.C:
			if request.Chart == "" || progress.rendered.Load() {
				continue
			}
			reason := fmt.Sprintf("its templates were not done after %s: does one of them loop?", renderTime)
			answers.write(answer{ID: request.ID, Error: &failure{Kind: kindChart, Reason: reason}})
			return false
		case <-cancelled:
			cancelled = nil
			settled = time.After(settleTime)
		case <-settled:
			return false
		}
	}
}

// progress is what an operation tells while it is going on.
type progress struct{ rendered atomic.Bool }

// read hands on requests until the input ends.
func read(ctx context.Context, input io.Reader, requests chan<- *request) error {
	lines := bufio.NewReaderSize(input, 64<<10)
	for {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		request, err := parseRequest(line)
		if err != nil {
			return err
		}
		select {
		case requests <- request:
		case <-ctx.Done():
			return nil
		}
	}
}

func readLine(lines *bufio.Reader) ([]byte, error) {
	var whole []byte
	for {
		part, err := lines.ReadSlice('\n')
		whole = append(whole, part...)
		if len(whole) > maxRequest {
			return nil, errors.New("too long")
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return whole, err
		}
	}
}
