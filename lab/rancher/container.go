package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// container holds the part of a pod's spec that a started container sees.
type container struct {
	image string
	args  []string
	env   map[string]string
	files map[string]string // mounted file -> content
}

func (c *container) hasArg(arg string) bool { return slices.Contains(c.args, arg) }

// prepare resolves a container's environment and its files from Secrets and ConfigMaps. It does so once, as a kubelet does before it starts
// the container. Other volumes are empty here.
func prepare(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod, name string) (*container, error) {
	sources := &sources{ctx, client, pod.Namespace}
	volumes := map[string]map[string]string{}
	for _, volume := range pod.Spec.Volumes {
		files, err := sources.volume(volume)
		if err != nil {
			return nil, err
		}
		volumes[volume.Name] = files
	}
	for _, spec := range pod.Spec.Containers {
		if spec.Name != name {
			continue
		}
		c := &container{image: spec.Image, args: spec.Args, env: map[string]string{}, files: map[string]string{}}
		for _, variable := range spec.Env {
			value, set, err := sources.variable(variable)
			if err != nil {
				return nil, err
			}
			if set {
				c.env[variable.Name] = value
			}
		}
		for _, mount := range spec.VolumeMounts {
			files := volumes[mount.Name]
			if mount.SubPath == "" {
				for file, content := range files {
					c.files[path.Join(mount.MountPath, file)] = content
				}
				continue
			}
			content, found := files[mount.SubPath]
			if files != nil && !found {
				return nil, &startProblem{"CreateContainerConfigError", "Failed", fmt.Sprintf(
					"failed to prepare subPath for volumeMount %q of container %q: no key %q", mount.Name, name, mount.SubPath)}
			}
			c.files[mount.MountPath] = content
		}
		return c, nil
	}
	return nil, fmt.Errorf("the pod has no container %q", name)
}

type sources struct {
	ctx       context.Context
	client    kubernetes.Interface
	namespace string
}

// volume returns the files of a Secret or ConfigMap volume, and nil for every other kind.
func (s *sources) volume(volume corev1.Volume) (map[string]string, error) {
	var data map[string]string
	var items []corev1.KeyToPath
	var err error
	var optional *bool
	switch {
	case volume.Secret != nil:
		items, optional = volume.Secret.Items, volume.Secret.Optional
		data, err = s.secret(volume.Secret.SecretName)
	case volume.ConfigMap != nil:
		items, optional = volume.ConfigMap.Items, volume.ConfigMap.Optional
		data, err = s.configMap(volume.ConfigMap.Name)
	default:
		return nil, nil
	}
	if isNotFound(err) && optional != nil && *optional {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, mountProblem(volume.Name, err.Error())
	}
	if len(items) == 0 {
		return data, nil
	}
	files := map[string]string{}
	for _, item := range items {
		content, found := data[item.Key]
		if !found {
			return nil, mountProblem(volume.Name, "references non-existent key: "+item.Key)
		}
		files[item.Path] = content
	}
	return files, nil
}

func mountProblem(volume, message string) error {
	return &startProblem{"ContainerCreating", "FailedMount", fmt.Sprintf("MountVolume.SetUp failed for volume %q : %s", volume, message)}
}

func (s *sources) variable(variable corev1.EnvVar) (value string, set bool, err error) {
	if variable.ValueFrom == nil {
		return variable.Value, true, nil
	}
	var data map[string]string
	var key string
	var optional *bool
	switch from := variable.ValueFrom; {
	case from.SecretKeyRef != nil:
		key, optional = from.SecretKeyRef.Key, from.SecretKeyRef.Optional
		data, err = s.secret(from.SecretKeyRef.Name)
	case from.ConfigMapKeyRef != nil:
		key, optional = from.ConfigMapKeyRef.Key, from.ConfigMapKeyRef.Optional
		data, err = s.configMap(from.ConfigMapKeyRef.Name)
	default:
		return "", false, nil
	}
	value, found := data[key]
	if found || (optional != nil && *optional && (err == nil || isNotFound(err))) {
		return value, found, nil
	}
	if err == nil {
		err = fmt.Errorf("couldn't find key %s", key)
	}
	return "", false, &startProblem{"CreateContainerConfigError", "Failed", fmt.Sprintf("environment variable %s: %v", variable.Name, err)}
}

func (s *sources) secret(name string) (map[string]string, error) {
	secret, err := s.client.CoreV1().Secrets(s.namespace).Get(s.ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, sourceProblem("secret", name, err)
	}
	data := map[string]string{}
	for key, value := range secret.Data {
		data[key] = string(value)
	}
	return data, nil
}

func (s *sources) configMap(name string) (map[string]string, error) {
	config, err := s.client.CoreV1().ConfigMaps(s.namespace).Get(s.ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, sourceProblem("configmap", name, err)
	}
	return config.Data, nil
}

// errNotFound has the kubelet's wording, which differs from the API server's.
type errNotFound struct{ kind, name string }

func (e errNotFound) Error() string { return fmt.Sprintf("%s %q not found", e.kind, e.name) }

func sourceProblem(kind, name string, err error) error {
	if apierrors.IsNotFound(err) {
		return errNotFound{kind, name}
	}
	return err
}

func isNotFound(err error) bool { return errors.As(err, new(errNotFound)) }
