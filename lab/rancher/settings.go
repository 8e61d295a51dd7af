package main

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
)

// Rancher makes the CRD of its settings and one object for each setting when it starts (pkg/crds and SetAll in
// pkg/controllers/dashboardapi/settings of rancher/rancher). An object that exists keeps its value.
const settingsCRD = `{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
	"metadata": {"name": "settings.management.cattle.io"},
	"spec": {"group": "management.cattle.io", "scope": "Cluster",
		"names": {"kind": "Setting", "listKind": "SettingList", "plural": "settings", "singular": "setting"},
		"versions": [{"name": "v3", "served": true, "storage": true,
			"schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}`

// keepSettings makes the settings that a stack can set. The API server serves a new kind only after a moment.
func keepSettings(ctx context.Context, client kubernetes.Interface) error {
	create := func(path, object string) error {
		err := client.CoreV1().RESTClient().Post().AbsPath(path).SetHeader("Content-Type", "application/json").Body([]byte(object)).Do(ctx).Error()
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	}
	if err := create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", settingsCRD); err != nil {
		return fmt.Errorf("CRD of the settings: %w", err)
	}
	for _, name := range []string{"server-url", "eula-agreed"} {
		setting := fmt.Sprintf(`{"apiVersion": "management.cattle.io/v3", "kind": "Setting",
			"metadata": {"name": %q}, "value": "", "default": "", "customized": false, "source": ""}`, name)
		err := create("/apis/management.cattle.io/v3/settings", setting)
		for attempt := 0; apierrors.IsNotFound(err) && attempt < 30 && ctx.Err() == nil; attempt++ {
			time.Sleep(time.Second)
			err = create("/apis/management.cattle.io/v3/settings", setting)
		}
		if err != nil {
			return fmt.Errorf("setting %s: %w", name, err)
		}
	}
	return nil
}
