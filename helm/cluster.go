package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"helm.sh/helm/v4/pkg/chart/common"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/kubectl/pkg/validation"

	"helm.sh/helm/v4/pkg/kube"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
)

// callDeadline bounds one call of the API server that is no watch.
const callDeadline = 60 * time.Second

// cluster is one API server with what was learned about it: what a worker saves over a program that starts anew each time.
//
// What it knows of kinds is kept for as long as the server's own digest of them (the ETag of aggregated discovery,
// KEP-3352) stays the same.
type cluster struct {
	config    *rest.Config
	raw       *clientcmdapi.Config
	clients   *kubernetes.Clientset
	dynamic   *dynamic.DynamicClient
	http      *http.Client
	discovery discovery.CachedDiscoveryInterface
	mapper    meta.RESTMapper

	mutex        sync.Mutex
	kinds        string
	capabilities *common.Capabilities
}

func openCluster(kubeconfig string) (*cluster, error) {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{})
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, err
	}
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, err
	}
	// The server has its own fairness; ours would only make a chart of 300 objects wait.
	config.QPS = 400
	config.Burst = 800
	config.UserAgent = "c7n-helm"
	config.WarningHandler = rest.NoWarnings{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return deadlines{next} })

	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	clients, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	dynamics, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	plain, err := discovery.NewDiscoveryClientForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	cached := memory.NewMemCacheClient(plain)
	mapper := restmapper.NewShortcutExpander(restmapper.NewDeferredDiscoveryRESTMapper(cached), cached, nil)
	return &cluster{
		config:    config,
		raw:       &raw,
		clients:   clients,
		dynamic:   dynamics,
		http:      client,
		discovery: cached,
		mapper:    mapper,
	}, nil
}

// refresh asks whether the server still has the same version and kinds, and forgets what is not true any more. It
// is also how an operation learns that the server answers at all.
func (c *cluster) refresh(ctx context.Context) error {
	kinds, err := c.kindsTag(ctx)
	if err != nil {
		return err
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if kinds != c.kinds {
		c.forgetLocked()
		c.kinds = kinds
	}
	return nil
}

// forget makes the next operation learn the kinds anew, as after CRDs were installed.
func (c *cluster) forget() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.forgetLocked()
}

func (c *cluster) forgetLocked() {
	c.kinds = ""
	c.capabilities = nil
	c.discovery.Invalidate()
	meta.MaybeResetRESTMapper(c.mapper)
}

func (c *cluster) knownCapabilities() *common.Capabilities {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.capabilities == nil {
		return nil
	}
	return c.capabilities.Copy()
}

func (c *cluster) learn(capabilities *common.Capabilities) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	// Empty after forget: what was learned before is then not true any more.
	if capabilities != nil && c.kinds != "" {
		c.capabilities = capabilities.Copy()
	}
}

// aggregated asks for all kinds in one document.
const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

// kindsTag names the set of kinds that the server has now.
func (c *cluster) kindsTag(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	server, _, err := rest.DefaultServerUrlFor(c.config)
	if err != nil {
		return "", err
	}
	server = server.JoinPath("apis")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.String(), http.NoBody)
	if err != nil {
		return "", err
	}
	request.Header.Set("Accept", aggregated)
	c.mutex.Lock()
	known := c.kinds
	c.mutex.Unlock()
	if known != "" {
		request.Header.Set("If-None-Match", known)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusNotModified:
		return known, nil
	case http.StatusOK:
		if tag := response.Header.Get("ETag"); tag != "" {
			_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 16<<20))
			return tag, nil
		}
		digest := sha256.New()
		if _, err := io.Copy(digest, io.LimitReader(response.Body, 16<<20)); err != nil {
			return "", err
		}
		return hex.EncodeToString(digest.Sum(nil)), nil
	default:
		return "", &unreachable{fmt.Sprintf("it answers with status %d", response.StatusCode)}
	}
}

// unreachable: the API server does not do its work.
type unreachable struct{ why string }

func (u *unreachable) Error() string { return u.why }

// view is the cluster as Helm sees it for one release: with its namespace as the default one.
type view struct {
	*cluster
	namespace string
}

func (v view) ToRESTConfig() (*rest.Config, error) { return rest.CopyConfig(v.config), nil }

func (v view) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return v.discovery, nil
}

func (v view) ToRESTMapper() (meta.RESTMapper, error) { return v.mapper, nil }

func (v view) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	overrides := &clientcmd.ConfigOverrides{Context: clientcmdapi.Context{Namespace: v.namespace}}
	return clientcmd.NewDefaultClientConfig(*v.raw, overrides)
}

// factory gives Helm's client the clients that are there already.
type factory struct {
	kube.Factory
	cluster *cluster
}

func newFactory(v view) factory {
	return factory{Factory: cmdutil.NewFactory(v), cluster: v.cluster}
}

func (f factory) KubernetesClientSet() (*kubernetes.Clientset, error) { return f.cluster.clients, nil }

func (f factory) DynamicClient() (dynamic.Interface, error) { return f.cluster.dynamic, nil }

// Validator leaves validation to the server: every server that we support does it itself (KEP-2885), and asking whether it
// does means to fetch and parse a megabyte of OpenAPI for each group.
func (f factory) Validator(string) (validation.Schema, error) { return validation.NullSchema{}, nil }

// deadlines bounds every call but watches and followed logs: Helm gives its calls none.
type deadlines struct{ next http.RoundTripper }

func (d deadlines) RoundTrip(request *http.Request) (*http.Response, error) {
	query := request.URL.Query()
	if query.Get("watch") != "" || query.Get("follow") != "" {
		return d.next.RoundTrip(request)
	}
	ctx, cancel := context.WithTimeout(request.Context(), callDeadline)
	response, err := d.next.RoundTrip(request.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	response.Body = &cancelling{response.Body, cancel}
	return response, nil
}

type cancelling struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (c *cancelling) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}
