package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// leftOut names objects of the real chart that this chart does not have (chart/README.md).
var leftOut = map[string]bool{
	"ClusterRole/rancher-post-delete": true, "ClusterRoleBinding/rancher-post-delete": true, "ConfigMap/rancher-post-delete": true,
}

// TestChartContract renders the real chart and this one with the same values, and expects the same objects. RANCHER_CHART names the real
// chart's folder.
func TestChartContract(t *testing.T) {
	folder := os.Getenv("RANCHER_CHART")
	if folder == "" {
		t.Skip("RANCHER_CHART names no folder with Rancher's chart")
	}
	real := prepared(t, folder, "2.11.3")
	external := []string{"tls=external", "hostname=rancher.lab"}
	for name, values := range map[string][]string{
		"private CA":        {"privateCA=true", "bootstrapPassword=first-password", "agentTLSMode=strict"},
		"public CA":         {"agentTLSMode=system-store", "ingress.tls.source=secret"},
		"one replica":       {"privateCA=true", "replicas=1", "antiAffinity=required", "debug=true"},
		"scaled by Rancher": {"replicas=-3", "priorityClassName=other"},
		"surroundings": {
			"proxy=http://proxy.lab:3128", "noProxy=10.0.0.0/8", "additionalTrustedCAs=true", "systemDefaultRegistry=registry.lab",
			"useBundledSystemChart=true", "cacheSyncTimeout=10m", "features=a=true", "extraEnv[0].name=CA_CHECKSUM", "extraEnv[0].value=abc",
		},
		"audit log": {"auditLog.level=2"},
		"audit log on the host": {
			"auditLog.level=1", "auditLog.destination=hostPath", "hostPort=8443", "rancherImage=other/rancher", "rancherImageTag=v2.11.4",
		},
		"pods": {
			"resources.requests.cpu=1", "startupProbe.failureThreshold=60", "imagePullSecrets[0].name=pull",
			"extraTolerations[0].key=a", "extraTolerations[0].operator=Exists",
			"extraNodeSelectorTerms[0].key=b", "extraNodeSelectorTerms[0].operator=Exists",
		},
		"ingress": {
			"ingress.ingressClassName=nginx", "ingress.extraAnnotations.a=b", "ingress.includeDefaultExtraAnnotations=false",
			"ingress.configurationSnippet=more_set_headers a", "ingress.path=/x", "ingress.pathType=Prefix",
		},
		"no ingress": {
			"ingress.enabled=false", "service.type=NodePort", "service.annotations.a=b", "postDelete.enabled=false", "webhook=a: b", "fleet=c: d",
			"extraObjects[0].kind=ConfigMap", "extraObjects[0].apiVersion=v1", "extraObjects[0].metadata.name=more",
		},
		"HTTPS": {"tls=ingress", "ingress.tls.source=secret", "ingress.servicePort=443", "service.disableHTTP=true", "privateCA=true"},
	} {
		t.Run(name, func(t *testing.T) {
			all := append(append([]string{}, external...), values...)
			compare(t, render(t, "cattle-system", real, all), render(t, "cattle-system", "chart", all))
		})
	}
}

func compare(t *testing.T, expected, got map[string]any) {
	for path, value := range expected {
		if other, found := got[path]; !found || other != value {
			t.Errorf("%s: the real chart has %v, this one %v", path, value, other)
		}
		delete(got, path)
	}
	for path, value := range got {
		t.Errorf("%s: the real chart has nothing, this one %v", path, value)
	}
}

// reduced matches fields that the charts of the backup operator have in another form: digests of other fields, the sets of resources, and
// the fields of the kinds that the stack does not set.
var reduced = regexp.MustCompile(`checksum/|resourceSelectors|additionalPrinterColumns|(restores|resourcesets)\S+\.schema|status|storageLocation|preserve-unknown|\.(description|example)`)

// TestBackupChartContract does the same for the charts of the backup operator. BACKUP_CHARTS names the folder of the real ones.
func TestBackupChartContract(t *testing.T) {
	folder := os.Getenv("BACKUP_CHARTS")
	if folder == "" {
		t.Skip("BACKUP_CHARTS names no folder with the charts rancher-backup and rancher-backup-crd")
	}
	s3 := []string{"s3.enabled=true", "s3.bucketName=backups", "s3.endpoint=s3.lab:9000"}
	keys := []string{"s3.credentialSecretName=keys", "s3.credentialSecretNamespace=cattle-resources-system"}
	for name, values := range map[string][]string{
		"S3 by a role":     s3,
		"S3":               append(append(keys, s3...), "s3.region=eu-central-1", "s3.folder=a/b", "s3.endpointCA=YQ=="),
		"a volume":         {"persistence.enabled=true", "persistence.volumeName=backups", "persistence.size=10Gi", "persistence.storageClass=-"},
		"a volume's class": {"persistence.enabled=true", "persistence.volumeName=backups", "persistence.storageClass=fast"},
		"surroundings": {
			"global.cattle.systemDefaultRegistry=registry.lab", "proxy=http://proxy.lab:3128", "nodeSelector.rack=r1", "debug=true",
			"priorityClassName=high",
		},
	} {
		for real, ours := range map[string]string{"rancher-backup": "backup", "rancher-backup-crd": "backup-crd"} {
			t.Run(real+" "+name, func(t *testing.T) {
				fields := func(chart string) map[string]any {
					rendered := render(t, "cattle-resources-system", chart, values)
					maps.DeleteFunc(rendered, func(path string, _ any) bool { return reduced.MatchString(path) })
					return rendered
				}
				compare(t, fields(prepared(t, filepath.Join(folder, real), "106.0.2+up7.0.2")), fields(ours))
			})
		}
	}
}

// prepared returns a copy of a chart. The copy has the version of this chart, because charts write their version into objects. Its
// %PLACEHOLDERS% of the source repository are filled in.
func prepared(t *testing.T, folder, release string) string {
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^version: .*$`)
	appVersion := regexp.MustCompile(`(?m)^appVersion: .*$`)
	placeholder := regexp.MustCompile(`%[A-Z_]+%`)
	filled := map[string]string{"%POST_DELETE_IMAGE_NAME%": "rancher/shell", "%POST_DELETE_IMAGE_TAG%": "v0.4.1", "%TAG%": "v7.0.2"}
	for _, name := range []string{"Chart.yaml", "values.yaml"} {
		file := filepath.Join(copied, name)
		text, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		text = version.ReplaceAll(text, []byte("version: "+release))
		text = appVersion.ReplaceAll(text, []byte("appVersion: v"+strings.TrimPrefix(release, "106.0.2+up")))
		text = placeholder.ReplaceAllFunc(text, func(found []byte) []byte { return []byte(filled[string(found)]) })
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return copied
}

// render returns the fields of a chart's objects as "Kind/name.path.to.field" -> value. The key of a list item is its name or mount path,
// because the order of such lists means nothing. Empty values are dropped.
func render(t *testing.T, namespace, chart string, values []string) map[string]any {
	arguments := []string{"template", "rancher", chart, "--namespace", namespace, "--kube-version", "1.30.14"}
	for _, value := range values {
		arguments = append(arguments, "--set", value)
	}
	helm := exec.Command("helm", arguments...)
	helm.Stderr = os.Stderr
	output, err := helm.Output()
	if err != nil {
		t.Fatalf("helm %s: %v", strings.Join(arguments, " "), err)
	}
	fields := map[string]any{}
	for _, document := range regexp.MustCompile(`(?m)^---$`).Split(string(output), -1) {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		if object == nil {
			continue
		}
		metadata := object["metadata"].(map[string]any)
		name := object["kind"].(string) + "/" + metadata["name"].(string)
		switch {
		case leftOut[name]:
		case strings.HasSuffix(name, "/rancher-post-delete"): // This chart reduces these objects to the hook.
			flatten(fields, name, metadata["annotations"])
		default:
			delete(object, "description")
			flatten(fields, name, object)
		}
	}
	return fields
}

func flatten(fields map[string]any, path string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			flatten(fields, path+"."+key, inner)
		}
	case []any:
		for i, inner := range value {
			key := strconv.Itoa(i)
			if object, ok := inner.(map[string]any); ok {
				for _, identity := range []string{"name", "mountPath"} {
					if text, ok := object[identity].(string); ok {
						key = text
					}
				}
			}
			flatten(fields, path+"["+key+"]", inner)
		}
	case string:
		if value = strings.TrimSpace(value); value != "" {
			fields[path] = value
		}
	case nil:
	default:
		fields[path] = value
	}
}
