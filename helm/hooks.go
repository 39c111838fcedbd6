package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"helm.sh/helm/v4/pkg/kube"
	release "helm.sh/helm/v4/pkg/release/v1"
)

const (
	logLines = 20
	logBytes = 4 << 10
	// logTime is what fetching a hook's log may cost beyond its own time.
	logTime = 5 * time.Second
)

const (
	phaseRunning   = "running"
	phaseSucceeded = "succeeded"
	phaseFailed    = "failed"
)

// hooks notes the hooks of one operation in the order in which they ran.
type hooks struct {
	clients   kubernetes.Interface
	namespace string
	// events are those of the operation, in their order.
	events []release.HookEvent
	runs   []*hookRun
}

func isHook(resources kube.ResourceList) bool {
	if len(resources) == 0 {
		return false
	}
	return annotation(resources, release.HookAnnotation) != ""
}

func annotation(resources kube.ResourceList, key string) string {
	object, ok := resources[0].Object.(metav1.Object)
	if !ok {
		return ""
	}
	return object.GetAnnotations()[key]
}

// begin notes that a hook was created.
func (h *hooks) begin(resources kube.ResourceList) *hookRun {
	first := resources[0]
	run := &hookRun{
		Kind:  first.Mapping.GroupVersionKind.Kind,
		Name:  first.Name,
		Phase: phaseRunning,
	}
	run.Event = h.event(run, annotation(resources, release.HookAnnotation))
	h.runs = append(h.runs, run)
	return run
}

// event tells which of its events a hook runs for: the operation's next one that it has not run for yet.
func (h *hooks) event(run *hookRun, declared string) string {
	var own []string
	for word := range strings.SplitSeq(declared, ",") {
		word = strings.TrimSpace(word)
		if word == "test-success" {
			word = string(release.HookTest)
		}
		own = append(own, word)
	}
	for _, event := range h.events {
		if !slices.Contains(own, string(event)) {
			continue
		}
		ran := slices.ContainsFunc(h.runs, func(earlier *hookRun) bool {
			return earlier.Kind == run.Kind && earlier.Name == run.Name && earlier.Event == string(event)
		})
		if !ran {
			return string(event)
		}
	}
	return own[0]
}

func (h *hooks) fail(run *hookRun, err error) {
	run.Phase = phaseFailed
	run.Message = describe(err)
}

// end notes how a hook ended, with the last words of its pods.
func (h *hooks) end(resources kube.ResourceList, err error) {
	if len(resources) == 0 {
		return
	}
	first := resources[0]
	for _, run := range slices.Backward(h.runs) {
		if run.Kind != first.Mapping.GroupVersionKind.Kind || run.Name != first.Name {
			continue
		}
		run.Phase = phaseSucceeded
		if err != nil {
			h.fail(run, err)
		}
		run.Log = h.log(run, first.Namespace)
		return
	}
}

// failed is the hook at which the operation stopped.
func (h *hooks) failed() *hookRun {
	for _, run := range h.runs {
		if run.Phase != phaseSucceeded {
			return run
		}
	}
	return nil
}

func (h *hooks) all() []hookRun {
	all := make([]hookRun, 0, len(h.runs))
	for _, run := range h.runs {
		all = append(all, *run)
	}
	return all
}

// log is what the newest pod of a hook wrote last. A log that cannot be had is empty: the hook's end counts more.
func (h *hooks) log(run *hookRun, namespace string) string {
	ctx, cancel := context.WithTimeout(context.Background(), logTime)
	defer cancel()
	if namespace == "" {
		namespace = h.namespace
	}
	pods := h.clients.CoreV1().Pods(namespace)
	var pod *corev1.Pod
	switch run.Kind {
	case "Pod":
		found, err := pods.Get(ctx, run.Name, metav1.GetOptions{})
		if err != nil {
			return ""
		}
		pod = found
	case "Job":
		list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=" + run.Name})
		if err != nil || len(list.Items) == 0 {
			return ""
		}
		pod = slices.MaxFunc(slices.Collect(pointers(list.Items)), func(a, b *corev1.Pod) int {
			return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
		})
	default:
		return ""
	}
	lines := int64(logLines)
	most := int64(logBytes)
	stream, err := pods.GetLogs(pod.Name, &corev1.PodLogOptions{
		Container: loudest(pod),
		TailLines: &lines,
	}).Stream(ctx)
	if err != nil {
		return ""
	}
	defer stream.Close()
	// The tail of 20 lines can be long; its own end is what is wanted.
	text, _ := io.ReadAll(io.LimitReader(stream, 64*most))
	if len(text) > logBytes {
		text = text[len(text)-logBytes:]
	}
	return strings.ToValidUTF8(string(text), "�")
}

// loudest is the container to be heard: one that failed, else the first.
func loudest(pod *corev1.Pod) string {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, status := range statuses {
			if ended := status.State.Terminated; ended != nil && ended.ExitCode != 0 {
				return status.Name
			}
		}
	}
	if len(pod.Spec.Containers) == 0 {
		return ""
	}
	return pod.Spec.Containers[0].Name
}

func pointers(pods []corev1.Pod) func(yield func(*corev1.Pod) bool) {
	return func(yield func(*corev1.Pod) bool) {
		for index := range pods {
			if !yield(&pods[index]) {
				return
			}
		}
	}
}
