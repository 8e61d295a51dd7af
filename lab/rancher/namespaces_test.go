package main

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestFinalizerOfNamespaces(t *testing.T) {
	now := metav1.Now()
	for name, test := range map[string]struct {
		deleted     *metav1.Time
		found, want []string
	}{
		"without it":                  {nil, []string{"other"}, []string{"other", namespaceFinalizer}},
		"with it":                     {nil, []string{namespaceFinalizer}, nil},
		"that is deleted":             {&now, []string{namespaceFinalizer, "other"}, []string{"other"}},
		"that is deleted, without it": {&now, []string{"other"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: test.deleted, Finalizers: test.found}}
			var got []string
			if wanted := withFinalizer(namespace); wanted != nil {
				got = wanted.Finalizers
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
