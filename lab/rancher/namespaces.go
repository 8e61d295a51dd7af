package main

import (
	"context"
	"log"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// Rancher puts these on every namespace of a cluster that it manages, its own included (the lifecycle namespace-auth in
// pkg/controllers/managementuser/rbac/namespace_handler.go of rancher/rancher). It alone takes the finalizer off, so a namespace that is
// deleted after Rancher never goes.
const (
	namespaceFinalizer  = "controller.cattle.io/namespace-auth"
	namespaceAnnotation = "lifecycle.cattle.io/create.namespace-auth"
)

// keepFinalizers holds the finalizer on every namespace until ctx ends, and takes it off those that are deleted meanwhile.
func keepFinalizers(ctx context.Context, client kubernetes.Interface) error {
	informer := informers.NewSharedInformerFactory(client, 0).Core().V1().Namespaces().Informer()
	handle := func(object any) {
		wanted := withFinalizer(object.(*corev1.Namespace))
		if wanted == nil {
			return
		}
		_, err := client.CoreV1().Namespaces().Update(ctx, wanted, metav1.UpdateOptions{})
		// Another replica was faster. The informer brings what it made.
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) && ctx.Err() == nil {
			log.Printf("finalizer of namespace %s: %v", wanted.Name, err)
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: handle, UpdateFunc: func(_, object any) { handle(object) }}
	if _, err := informer.AddEventHandler(handler); err != nil {
		return err
	}
	go informer.Run(ctx.Done())
	return waitForSync(ctx, informer.HasSynced)
}

// withFinalizer returns a namespace as Rancher wants it, nil when it is so already.
func withFinalizer(namespace *corev1.Namespace) *corev1.Namespace {
	isDeleted := namespace.DeletionTimestamp != nil
	if slices.Contains(namespace.Finalizers, namespaceFinalizer) != isDeleted {
		return nil
	}
	wanted := namespace.DeepCopy()
	if isDeleted {
		wanted.Finalizers = slices.DeleteFunc(wanted.Finalizers, func(each string) bool { return each == namespaceFinalizer })
		return wanted
	}
	wanted.Finalizers = append(wanted.Finalizers, namespaceFinalizer)
	metav1.SetMetaDataAnnotation(&wanted.ObjectMeta, namespaceAnnotation, "true")
	return wanted
}
