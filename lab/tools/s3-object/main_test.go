package main

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const (
	accessKey = "lab-access-key"
	secretKey = "lab-secret-key"
	snapshot  = "2026-11-28T09:56:57Z_etcd"
)

// storage is a small S3 server that notes its requests.
type storage struct {
	objects  map[string][]byte
	requests []string
}

func (s *storage) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	asked := request.Method + " " + request.URL.Path
	if query := request.URL.RawQuery; query != "" {
		asked += "?" + query
	}
	s.requests = append(s.requests, asked)
	key, inBucket := strings.CutPrefix(request.URL.Path, "/etcd/")
	content, found := s.objects[key]
	fail := func(status int, code string) {
		answer.WriteHeader(status)
		fmt.Fprintf(answer, "<Error><Code>%s</Code><Message>refused</Message></Error>", code)
	}
	switch {
	case !strings.Contains(request.Header.Get("Authorization"), "Credential="+accessKey+"/"):
		fail(http.StatusForbidden, "InvalidAccessKeyId")
	case !inBucket:
		fail(http.StatusNotFound, "NoSuchBucket")
	case request.URL.Query().Has("location"):
		fmt.Fprint(answer, "<LocationConstraint></LocationConstraint>")
	case request.URL.Query().Has("versioning"):
		fmt.Fprint(answer, "<VersioningConfiguration></VersioningConfiguration>")
	case request.Method == http.MethodPut:
		content, _ := io.ReadAll(request.Body)
		s.objects[key] = content
		answer.Header().Set("ETag", `"1"`)
	case key == "" && request.Method == http.MethodGet:
		fmt.Fprint(answer, "<ListBucketResult>")
		for key := range s.objects {
			if strings.HasPrefix(key, request.URL.Query().Get("prefix")) {
				fmt.Fprintf(answer, "<Contents><Key>%s</Key></Contents>", key)
			}
		}
		fmt.Fprint(answer, "</ListBucketResult>")
	case key == "" || found:
		answer.Header().Set("ETag", `"1"`)
		answer.Header().Set("Last-Modified", "Sat, 28 Nov 2026 09:56:57 GMT")
		answer.Write(content)
	default:
		fail(http.StatusNotFound, "NoSuchKey")
	}
}

// program runs in a root folder of its own, because both programs use /backup.
type program struct {
	binary   string
	put, get []string
	flags    func(bucket, ca, endpoint string) []string
}

func build(t *testing.T, folder string) string {
	binary := filepath.Join(t.TempDir(), "program")
	command := exec.Command("go", "build", "-o", binary, ".")
	command.Dir, command.Env = folder, append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", folder, err, output)
	}
	return binary
}

// programs returns the stand-in, and the real rke-etcd-backup where RKE_TOOLS names the folder of its sources.
func programs(t *testing.T) map[string]program {
	found := map[string]program{"the stand-in": {
		binary: build(t, "."),
		put:    []string{"put", snapshot},
		get:    []string{"get", snapshot},
		flags:  func(_, _, _ string) []string { return nil },
	}}
	if sources := os.Getenv("RKE_TOOLS"); sources != "" {
		save := []string{"etcd-backup", "save", "--once", "--cacert=a", "--cert=b", "--key=c", "--name=" + snapshot}
		found["rke-etcd-backup"] = program{
			binary: build(t, sources),
			put:    append(save, "--s3-backup=true"),
			get:    []string{"etcd-backup", "download", "--name", snapshot, "--s3-backup=true"},
			flags: func(bucket, ca, endpoint string) []string {
				return []string{"--s3-endpoint=" + endpoint, "--s3-bucketName=" + bucket, "--s3-region=", "--s3-endpoint-ca=" + ca, "--s3-folder=a/b"}
			},
		}
	} else {
		t.Log("RKE_TOOLS names no folder with the sources of rke-tools: the stand-in is not compared with it")
	}
	return found
}

// etcdctl saves a snapshot that is always the same.
const etcdctl = `#!/bin/busybox sh
for last; do :; done
case $* in *"snapshot save"*) echo state >"$last" ;; esac
`

func root(t *testing.T, binary string) string {
	root := t.TempDir()
	for _, folder := range []string{"backup", "bin", "dev", "etc/kubernetes"} {
		os.MkdirAll(filepath.Join(root, folder), 0o755)
	}
	for from, to := range map[string]string{binary: "program", "/bin/busybox": "bin/busybox"} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(root, to), content, 0o755)
	}
	os.WriteFile(filepath.Join(root, "dev/null"), nil, 0o600)
	os.WriteFile(filepath.Join(root, "bin/etcdctl"), []byte(etcdctl), 0o755)
	return root
}

func zipped(name string) []byte {
	var archive bytes.Buffer
	writer := zip.NewWriter(&archive)
	file, _ := writer.Create(name)
	file.Write([]byte("state\n"))
	writer.Close()
	return archive.Bytes()
}

func TestSnapshotsMoveAsWithRkeTools(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can change the root folder of a program")
	}
	const list, object = "GET /etcd/?delimiter=%2F&encoding-type=url&fetch-owner=true&list-type=2&prefix=", "/etcd/a/b/" + snapshot + ".zip"
	location, head := "GET /etcd/?location=", "HEAD /etcd/"
	prefix := list + "a%2Fb%2F2026-11-28T09%3A56%3A57Z_etcd"
	cases := map[string]struct {
		put               bool
		bucket, key       string
		otherCA, isStored bool
		error             string
		requests          []string
	}{
		"a snapshot that is there is downloaded":      {isStored: true, requests: []string{location, head, prefix, "GET " + object}},
		"a missing one is named":                      {error: "failed to download s3 backup: no backups found", requests: []string{location, head, prefix}},
		"a wrong key ends it":                         {key: "other", error: "failed to check s3 bucket", requests: []string{location}},
		"a missing bucket ends it":                    {bucket: "none", error: "bucket none is not found", requests: []string{"GET /none/?location="}},
		"another CA ends it":                          {otherCA: true, error: "certificate signed by unknown authority"},
		"a snapshot is uploaded":                      {put: true, requests: []string{location, head, "HEAD " + object, "PUT " + object}},
		"one of the same name stays, with no warning": {put: true, isStored: true, requests: []string{location, head, "HEAD " + object, "GET /etcd/?versioning="}},
	}
	for name, program := range programs(t) {
		for what, given := range cases {
			t.Run(name+": "+what, func(t *testing.T) {
				stored := &storage{objects: map[string][]byte{}}
				server := httptest.NewTLSServer(stored)
				defer server.Close()
				ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
				if given.otherCA {
					ca = otherCA(t)
				}
				content := zipped("/backup/" + snapshot)
				if given.isStored {
					stored.objects["a/b/"+snapshot+".zip"] = content
				}
				bucket, key := "etcd", accessKey
				if given.bucket != "" {
					bucket = given.bucket
				}
				if given.key != "" {
					key = given.key
				}
				folder, arguments := root(t, program.binary), program.get
				if given.put {
					arguments = program.put
					os.WriteFile(filepath.Join(folder, "backup", snapshot+".zip"), []byte("new"), 0o600)
				}
				encoded, endpoint := base64.StdEncoding.EncodeToString, strings.TrimPrefix(server.URL, "https://")
				command := exec.Command("/program", append(slices.Clone(arguments), program.flags(bucket, encoded(ca), endpoint)...)...)
				command.SysProcAttr = &syscall.SysProcAttr{Chroot: folder}
				command.Dir = "/"
				command.Env = []string{
					"PATH=/bin", "S3_ENDPOINT=" + endpoint, "S3_BUCKET_NAME=" + bucket, "S3_FOLDER=a/b", "S3_ENDPOINT_CA=" + encoded(ca),
					"S3_ACCESS_KEY=" + encoded([]byte(key)), "S3_SECRET_KEY=" + encoded([]byte(secretKey)),
				}
				output, err := command.CombinedOutput()
				if (err != nil) != (given.error != "") || !strings.Contains(string(output), given.error) {
					t.Fatalf("expected the error %q, found %v\n%s", given.error, err, output)
				}
				// The access key stands in the log, so that its removal is tested with the lab.
				if logged := regexp.MustCompile(`s3-accessKey="?(\S+?)"? `).FindSubmatch(output); logged == nil || string(logged[1]) != encoded([]byte(key)) {
					t.Errorf("expected the access key in the log, found %s", output)
				}
				if !slices.Equal(stored.requests, given.requests) {
					t.Errorf("expected the requests\n%s\nfound\n%s", strings.Join(given.requests, "\n"), strings.Join(stored.requests, "\n"))
				}
				saved, _ := os.ReadFile(filepath.Join(folder, "backup", snapshot+".zip"))
				if !given.put && given.isStored && !bytes.Equal(saved, content) {
					t.Errorf("expected the snapshot of the bucket, found %q", saved)
				}
			})
		}
	}
}

func otherCA(t *testing.T) []byte {
	output, err := exec.Command("openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=other", "-keyout", "/dev/null").Output()
	if err != nil {
		t.Fatal(err)
	}
	return output
}
