package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Gateway plays the gateway of a cluster for event sources of Argo Events: it
// reads the Ingresses beside Argo Events, and brings a request for the host and
// the path of one to the process that stands for the Pods of its Service. It
// speaks plain HTTP.
type Gateway struct {
	// URL is where it listens, as http://127.0.0.1:<port>.
	URL string

	events *ArgoEvents
	server *http.Server
}

var errNoRoute = errors.New("no Ingress leads from there to a service that runs")

// StartGateway starts the gateway of an Argo Events.
func (s *Stack) StartGateway(a *ArgoEvents) (*Gateway, error) {
	port, err := s.ports.take()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return nil, fmt.Errorf("start a gateway: %w", err)
	}
	g := &Gateway{URL: "http://" + loopback(port), events: a}
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = g.server.Serve(listener) }()
	s.keep(g)
	return g, nil
}

// Stop ends the gateway.
func (g *Gateway) Stop() error { return g.server.Close() }

// Err returns nil: it runs in this process.
func (g *Gateway) Err() error { return nil }

// ServeHTTP implements http.Handler. Where no Ingress leads the answer is 404.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	address, err := g.route(r.Context(), r.Host, r.URL.Path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address}).ServeHTTP(w, r)
}

// route returns the address that the Ingresses lead to from a host and a path.
func (g *Gateway) route(ctx context.Context, host, path string) (string, error) {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ingresses, err := g.events.set.NetworkingV1().Ingresses(ArgoEventsNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	for i := range ingresses.Items {
		for _, rule := range ingresses.Items[i].Spec.Rules {
			if rule.Host != host || rule.HTTP == nil {
				continue
			}
			for _, one := range rule.HTTP.Paths {
				if leadsTo(one, path) && one.Backend.Service != nil {
					return g.address(ctx, one.Backend.Service)
				}
			}
		}
	}
	return "", errNoRoute
}

func leadsTo(rule networkingv1.HTTPIngressPath, path string) bool {
	if rule.PathType != nil && *rule.PathType == networkingv1.PathTypeExact {
		return path == rule.Path
	}
	prefix := strings.TrimSuffix(rule.Path, "/")
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

// address returns where the Pods of a Service listen.
func (g *Gateway) address(ctx context.Context, backend *networkingv1.IngressServiceBackend) (string, error) {
	service, err := g.events.set.CoreV1().Services(ArgoEventsNamespace).Get(ctx, backend.Name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	for _, port := range service.Spec.Ports {
		if port.Port != backend.Port.Number && (port.Name != backend.Port.Name || port.Name == "") {
			continue
		}
		target := port.TargetPort.IntValue()
		if target == 0 {
			target = int(port.Port)
		}
		address, ok := g.events.services.address(labels.SelectorFromSet(service.Spec.Selector), strconv.Itoa(target))
		if ok {
			return address, nil
		}
	}
	return "", errNoRoute
}
