package main

import (
	"fmt"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

const controllerClass = "k8s.io/ingress-nginx"

// routes holds, by host, the locations of all Ingress objects that the controller serves.
type routes map[string][]location

type location struct {
	path      string
	exact     bool
	element   bool     // pathType Prefix: /foo matches /foo/bar but not /foobar
	endpoints []string // host:port of the ready endpoints
	limits    limits
}

// routesOf builds the routes from objects of the API server.
func routesOf(classes []*networkingv1.IngressClass, ingresses []*networkingv1.Ingress, services []*corev1.Service,
	slices []*discoveryv1.EndpointSlice, defaults limits) routes {
	served := map[string]bool{}
	for _, class := range classes {
		served[class.Name] = class.Spec.Controller == controllerClass
	}
	servicesByName := map[string]*corev1.Service{}
	for _, service := range services {
		servicesByName[service.Namespace+"/"+service.Name] = service
	}
	slicesByService := map[string][]*discoveryv1.EndpointSlice{}
	for _, slice := range slices {
		key := slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]
		slicesByService[key] = append(slicesByService[key], slice)
	}
	table := routes{}
	for _, ingress := range ingresses {
		if ingress.Spec.IngressClassName == nil || !served[*ingress.Spec.IngressClassName] {
			continue
		}
		own := defaults.forIngress(ingress)
		for _, rule := range ingress.Spec.Rules {
			if rule.HTTP == nil {
				continue
			}
			for _, path := range rule.HTTP.Paths {
				backend := path.Backend.Service
				if backend == nil {
					continue
				}
				key := ingress.Namespace + "/" + backend.Name
				l := location{path: path.Path, endpoints: endpointsOf(servicesByName[key], backend.Port, slicesByService[key]), limits: own}
				if l.path == "" {
					l.path = "/"
				}
				if path.PathType != nil {
					l.exact, l.element = *path.PathType == networkingv1.PathTypeExact, *path.PathType == networkingv1.PathTypePrefix
				}
				table[strings.ToLower(rule.Host)] = append(table[strings.ToLower(rule.Host)], l)
			}
		}
	}
	for _, locations := range table {
		sort.SliceStable(locations, func(i, j int) bool {
			if locations[i].exact != locations[j].exact {
				return locations[i].exact
			}
			return len(locations[i].path) > len(locations[j].path)
		})
	}
	return table
}

// endpointsOf returns the addresses of the ready pods behind a Service's port.
func endpointsOf(service *corev1.Service, wanted networkingv1.ServiceBackendPort, slices []*discoveryv1.EndpointSlice) []string {
	if service == nil {
		return nil
	}
	var endpoints []string
	for _, port := range service.Spec.Ports {
		if port.Port == wanted.Number || (wanted.Name != "" && port.Name == wanted.Name) {
			for _, slice := range slices {
				endpoints = append(endpoints, readyEndpoints(slice, port.Name)...)
			}
		}
	}
	sort.Strings(endpoints)
	return endpoints
}

func readyEndpoints(slice *discoveryv1.EndpointSlice, portName string) []string {
	var endpoints []string
	for _, port := range slice.Ports {
		if port.Port == nil || port.Name == nil || *port.Name != portName {
			continue
		}
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				endpoints = append(endpoints, endpointAddress(endpoint, *port.Port))
			}
		}
	}
	return endpoints
}

func endpointAddress(endpoint discoveryv1.Endpoint, port int32) string {
	if endpoint.TargetRef != nil && endpoint.TargetRef.Kind == "Pod" {
		port = podPort(endpoint.TargetRef.UID, port)
	}
	return fmt.Sprintf("%s:%d", endpoint.Addresses[0], port)
}

// find returns the location for a request. An exact host has precedence over a wildcard, and a wildcard over a rule without host.
func (t routes) find(host, path string) (location, bool) {
	host = strings.ToLower(host)
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	names := []string{host, ""}
	if _, domain, ok := strings.Cut(host, "."); ok {
		names = []string{host, "*." + domain, ""}
	}
	for _, name := range names {
		if locations, known := t[name]; known {
			for _, l := range locations {
				if l.matches(path) {
					return l, true
				}
			}
			return location{}, false
		}
	}
	return location{}, false
}

func (l location) matches(path string) bool {
	switch {
	case l.exact:
		return path == l.path
	case l.element:
		prefix := strings.TrimSuffix(l.path, "/")
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	}
	return strings.HasPrefix(path, l.path)
}
