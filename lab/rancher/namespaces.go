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

// Rancher sets this finalizer and this annotation on every namespace of the clusters that it manages, its own included (lifecycle
// namespace-auth in pkg/controllers/managementuser/rbac/namespace_handler.go of rancher/rancher). Only Rancher removes the finalizer, so
// the deletion of a namespace never completes without Rancher.
const (
	namespaceFinalizer  = "controller.cattle.io/namespace-auth"
	namespaceAnnotation = "lifecycle.cattle.io/create.namespace-auth"
)

// keepFinalizers keeps the finalizer on every namespace until ctx ends, and removes it from deleted namespaces.
func keepFinalizers(ctx context.Context, client kubernetes.Interface) error {
	informer := informers.NewSharedInformerFactory(client, 0).Core().V1().Namespaces().Informer()
	handle := func(object any) {
		wanted := withFinalizer(object.(*corev1.Namespace))
		if wanted == nil {
			return
		}
		_, err := client.CoreV1().Namespaces().Update(ctx, wanted, metav1.UpdateOptions{})
		// A conflict means that another replica was faster. The informer delivers the other replica's change.
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

// withFinalizer returns a namespace as Rancher wants it, or nil when nothing has to change.
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
