package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rancher/dynamiclistener"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// rancherStandIn stands in for one Rancher server pod. It uses Rancher's own modules for the redirect and the tunnel, and has a few of
// Rancher's endpoints.
type rancherStandIn struct {
	password   string
	settings   map[string]string
	tunnels    *tunnels
	loginToken string
}

func startRancher(ctx context.Context, n *node, pod *corev1.Pod, client kubernetes.Interface) ([]server, error) {
	link, err := n.connected()
	if err != nil {
		return nil, err
	}
	c, err := prepare(ctx, link.client, pod, "rancher")
	if err != nil {
		return nil, err
	}
	settings, err := settingsOf(c)
	if err != nil {
		return nil, err
	}
	password, err := bootstrapPassword(ctx, client, pod.Namespace, c.env["CATTLE_BOOTSTRAP_PASSWORD"])
	if err != nil {
		return nil, err
	}
	rancher := &rancherStandIn{password: password, settings: settings, loginToken: "token-admin:" + derive(password, "login")}
	rancher.tunnels, err = startTunnels(ctx, client, pod, c, derive(password, "registration"), derive(password, "peer"))
	if err != nil {
		return nil, err
	}
	if err := keepFinalizers(ctx, client); err != nil {
		return nil, err
	}
	if err := keepSettings(ctx, client); err != nil {
		return nil, err
	}
	return []server{{address: fmt.Sprintf("%s:%d", n.ip, podPort(pod.UID, 80)), handler: rancher.handler(), probe: "/healthz"}}, nil
}

// settingsOf returns Rancher's settings. The container's environment, arguments and files determine them when it starts.
func settingsOf(c *container) (map[string]string, error) {
	const caFile = "/etc/rancher/ssl/cacerts.pem"
	ca, mounted := c.files[caFile]
	if mounted && c.hasArg("--no-cacerts") {
		return nil, fmt.Errorf("--no-cacerts is given and %s is mounted", caFile)
	}
	mode := c.env["CATTLE_AGENT_TLS_MODE"]
	switch mode {
	case "":
		mode = "strict"
	case "strict", "system-store":
	default:
		return nil, fmt.Errorf("CATTLE_AGENT_TLS_MODE is %q; strict and system-store are known", mode)
	}
	version := c.image[strings.LastIndexByte(c.image, ':')+1:]
	return map[string]string{"cacerts": strings.TrimSpace(ca), "agent-tls-mode": mode, "server-version": version}, nil
}

// bootstrapPassword returns the given password, or else that of the Secret bootstrap-secret. It makes the Secret if it is missing.
func bootstrapPassword(ctx context.Context, client kubernetes.Interface, namespace, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	const name, key = "bootstrap-secret", "bootstrapPassword"
	secrets := client.CoreV1().Secrets(namespace)
	random := make([]byte, 20)
	rand.Read(random)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string][]byte{key: []byte(hex.EncodeToString(random))}}
	_, err := secrets.Create(ctx, secret, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		secret, err = secrets.Get(ctx, name, metav1.GetOptions{})
	}
	if err == nil && len(secret.Data[key]) == 0 {
		err = fmt.Errorf("Secret %s/%s has no key %s", namespace, name, key)
	}
	if err != nil {
		return "", err
	}
	return string(secret.Data[key]), nil
}

// derive returns the token for a purpose. All replicas derive the same token, so they need no store to share it.
func derive(password, purpose string) string {
	mac := hmac.New(sha256.New, []byte(password))
	mac.Write([]byte(purpose))
	return hex.EncodeToString(mac.Sum(nil))
}

func (s *rancherStandIn) handler() http.Handler {
	open := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/ping", open("pong"))
	mux.HandleFunc("/healthz", open("ok"))
	mux.HandleFunc("GET /cacerts", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		if ca := s.settings["cacerts"]; ca != "" {
			fmt.Fprintln(w, ca)
		}
	})
	mux.HandleFunc("GET /rancherversion", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"Version": s.settings["server-version"], "RancherPrime": "false"})
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/dashboard/", http.StatusFound) })
	mux.HandleFunc("GET /dashboard/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!doctype html><title>Rancher</title><p>A stand-in for Rancher's dashboard.\n")
	})
	mux.HandleFunc("POST /v3-public/localProviders/local", s.login)
	mux.HandleFunc("GET /v3/settings/{name}", s.setting)
	mux.HandleFunc("/v3", s.withLogin(func(w http.ResponseWriter, _ *http.Request) {
		version := map[string]string{"group": "management.cattle.io", "version": "v3"}
		writeJSON(w, http.StatusOK, map[string]any{"type": "apiRoot", "apiVersion": version})
	}))
	mux.HandleFunc("GET /v3/clusterregistrationtokens", s.withLogin(func(w http.ResponseWriter, _ *http.Request) {
		token := map[string]string{"type": "clusterRegistrationToken", "clusterId": "lab", "token": s.tunnels.registrationToken}
		writeJSON(w, http.StatusOK, map[string]any{"type": "collection", "data": []any{token}})
	}))
	mux.HandleFunc("GET /v1/subscribe", s.withLogin(subscribe))
	mux.Handle("GET /v3/connect", s.tunnels.server)
	mux.Handle("GET /v3/connect/register", s.tunnels.server)
	mux.HandleFunc("/lab/tunnel/{client}/{scheme}/{address}/{path...}", s.withLogin(s.tunnels.forward))
	redirecting := dynamiclistener.HTTPRedirect(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.tunnels.isPeer(r) { // Real replicas connect to each other over HTTPS. Here they use this port, which must not redirect them.
			mux.ServeHTTP(w, r)
			return
		}
		redirecting.ServeHTTP(w, r)
	})
}

func (s *rancherStandIn) login(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("action") != "login" {
		writeError(w, http.StatusNotFound, "NotFound", "the action is login")
		return
	}
	var input struct{ Username, Password, ResponseType string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&input); err != nil {
		writeError(w, http.StatusUnprocessableEntity, "InvalidBodyContent", "the body is not JSON")
		return
	}
	if input.Username != "admin" || !equal(input.Password, s.password) {
		writeError(w, http.StatusUnauthorized, "Unauthorized", "authentication failed")
		return
	}
	if input.ResponseType == "cookie" {
		http.SetCookie(w, &http.Cookie{Name: "R_SESS", Value: s.loginToken, Path: "/", Secure: true, HttpOnly: true})
		w.WriteHeader(http.StatusOK)
		return
	}
	writeJSON(w, http.StatusCreated, map[string]any{
		"type": "token", "baseType": "token", "id": "token-admin", "userId": "user-admin", "authProvider": "local", "token": s.loginToken,
		"created": time.Now().UTC().Format(time.RFC3339),
	})
}

// setting returns one setting. Only cacerts needs no login, because agents read it before they trust the server.
func (s *rancherStandIn) setting(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	answer := func(w http.ResponseWriter, _ *http.Request) {
		value, known := s.settings[name]
		if !known {
			writeError(w, http.StatusNotFound, "NotFound", "no such setting")
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"type": "setting", "baseType": "setting", "id": name, "name": name, "value": value})
	}
	if name == "cacerts" {
		answer(w, r)
		return
	}
	s.withLogin(answer)(w, r)
}

func (s *rancherStandIn) withLogin(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if cookie, err := r.Cookie("R_SESS"); err == nil && token == "" {
			token = cookie.Value
		}
		if !equal(token, s.loginToken) {
			writeError(w, http.StatusUnauthorized, "Unauthorized", "must authenticate")
			return
		}
		next(w, r)
	}
}

var upgrader = websocket.Upgrader{HandshakeTimeout: 5 * time.Second}

// subscribe serves the stream that reports changes to the dashboard. Here the stream carries only pings.
func subscribe(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	left := make(chan struct{})
	go func() {
		defer close(left)
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				return
			}
		}
	}()
	for {
		conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if err := conn.WriteJSON(map[string]any{"name": "ping", "data": map[string]string{"type": "ping"}}); err != nil {
			return
		}
		select {
		case <-left:
			return
		case <-time.After(5 * time.Second):
		}
	}
}

func equal(given, expected string) bool {
	return subtle.ConstantTimeCompare([]byte(given), []byte(expected)) == 1
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func writeError(w http.ResponseWriter, status int, code, message string) {
	writeJSON(w, status, map[string]any{"type": "error", "baseType": "error", "code": code, "status": status, "message": message})
}
