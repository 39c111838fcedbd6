package main

import (
	"context"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"helm.sh/helm/v4/pkg/kube"
)

// client is Helm's client with four differences: reachability is asked together with the kinds, hooks are noted with
// their logs, the reasons of a failed deletion are kept (Helm only logs them), and what is stopped stays so.
type client struct {
	*kube.Client
	cluster *cluster
	ctx     context.Context
	hooks   *hooks
	stopped bool

	deletion []error
}

func newClient(ctx context.Context, v view, hooks *hooks, stopped bool) *client {
	inner := kube.New(v)
	inner.Factory = newFactory(v)
	inner.Namespace = v.namespace
	inner.SetLogger(bareHandler{})
	return &client{Client: inner, cluster: v.cluster, ctx: ctx, hooks: hooks, stopped: stopped}
}

// Build reads a manifest into what is written. Helm reads the revision before by it too, which so is no difference.
func (c *client) Build(manifest io.Reader, validate bool) (kube.ResourceList, error) {
	resources, err := c.Client.Build(manifest, validate)
	if err == nil && c.stopped {
		stop(resources)
	}
	return resources, err
}

func (c *client) IsReachable() error { return c.cluster.refresh(c.ctx) }

func (c *client) Create(resources kube.ResourceList, options ...kube.ClientCreateOption) (*kube.Result, error) {
	if !isHook(resources) {
		return c.Client.Create(resources, options...)
	}
	run := c.hooks.begin(resources)
	result, err := c.Client.Create(resources, options...)
	if err != nil {
		c.hooks.fail(run, err)
	}
	return result, err
}

func (c *client) Delete(resources kube.ResourceList, policy metav1.DeletionPropagation) (*kube.Result, []error) {
	result, errs := c.Client.Delete(resources, policy)
	c.deletion = append(c.deletion, errs...)
	return result, errs
}

func (c *client) GetWaiter(strategy kube.WaitStrategy) (kube.Waiter, error) {
	return c.GetWaiterWithOptions(strategy)
}

func (c *client) GetWaiterWithOptions(strategy kube.WaitStrategy, options ...kube.WaitOption) (kube.Waiter, error) {
	inner, err := c.Client.GetWaiterWithOptions(strategy, options...)
	if err != nil {
		return nil, err
	}
	return &waiter{Waiter: inner, hooks: c.hooks}, nil
}

// Helm prints the logs of hooks whose chart asks for it; ours are collected for every hook.

func (c *client) GetPodList(string, metav1.ListOptions) (*corev1.PodList, error) {
	return &corev1.PodList{}, nil
}

func (c *client) OutputContainerLogsForPodList(*corev1.PodList, string, func(namespace, pod, container string) io.Writer) error {
	return nil
}

// waiter notes how hooks ended, before their policy deletes them.
type waiter struct {
	kube.Waiter
	hooks *hooks
}

func (w *waiter) WatchUntilReady(resources kube.ResourceList, timeout time.Duration) error {
	err := w.Waiter.WatchUntilReady(resources, timeout)
	w.hooks.end(resources, err)
	return err
}

// Wait is only called for a release's own objects; not being ready is told apart from being refused.
func (w *waiter) Wait(resources kube.ResourceList, timeout time.Duration) error {
	if err := w.Waiter.Wait(resources, timeout); err != nil {
		return &notReady{err}
	}
	return nil
}

type notReady struct{ cause error }

func (n *notReady) Error() string { return n.cause.Error() }

func (n *notReady) Unwrap() error { return n.cause }
