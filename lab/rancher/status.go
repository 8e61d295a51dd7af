package main

import (
	"context"
	"encoding/json"
	"log"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// startProblem is the reason why a pod's containers cannot start yet, in the kubelet's words.
type startProblem struct {
	reason  string // reason of the waiting container
	event   string // reason of the event
	message string
}

func (p *startProblem) Error() string { return p.message }

// podStatus writes a pod's status when it changes. It also writes when the node controller declared the pod not ready because the node was
// silent. The subresource is pods/status, as the NodeRestriction admission demands.
type podStatus struct {
	node      *node
	pod       *corev1.Pod
	startTime metav1.Time
	last      string
}

func (s *podStatus) waiting(ctx context.Context, problem *startProblem) {
	if link, err := s.node.connected(); err == nil && s.last != problem.message {
		link.events.Event(s.pod, corev1.EventTypeWarning, problem.event, problem.message)
	}
	state := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: problem.reason, Message: problem.message}}
	s.write(ctx, problem.message, corev1.PodPending, state, false)
}

func (s *podStatus) running(ctx context.Context, ready bool) {
	key := "running, not ready"
	if ready {
		key = "ready"
	}
	s.write(ctx, key, corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: s.startTime}}, ready)
}

func (s *podStatus) write(ctx context.Context, key string, phase corev1.PodPhase, state corev1.ContainerState, ready bool) {
	link, err := s.node.connected()
	if err != nil || ctx.Err() != nil || s.last == key && s.stands(link, ready) {
		return
	}
	started := phase == corev1.PodRunning
	status := corev1.PodStatus{
		Phase:     phase,
		HostIP:    s.node.ip,
		HostIPs:   []corev1.HostIP{{IP: s.node.ip}},
		StartTime: &s.startTime,
		Conditions: []corev1.PodCondition{
			condition(corev1.PodReadyToStartContainers, started, ""),
			condition(corev1.PodInitialized, true, ""),
			condition(corev1.ContainersReady, ready, "ContainersNotReady"),
			condition(corev1.PodReady, ready, "ContainersNotReady"),
		},
	}
	if started {
		status.PodIP, status.PodIPs = s.node.ip, []corev1.PodIP{{IP: s.node.ip}}
	}
	for _, container := range s.pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, Started: &started, Ready: ready, State: state,
		})
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": s.pod.UID}, "status": status})
	if err == nil {
		pods := link.client.CoreV1().Pods(s.pod.Namespace)
		_, err = pods.Patch(ctx, s.pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	}
	if err != nil {
		log.Printf("status of pod %s/%s: %v", s.pod.Namespace, s.pod.Name, err)
		return
	}
	log.Printf("pod %s/%s: %s", s.pod.Namespace, s.pod.Name, key)
	s.last = key
}

// stands reports whether the API server still has this readiness of the pod.
func (s *podStatus) stands(link *connection, ready bool) bool {
	object, found, _ := link.known.Get(s.pod)
	if !found {
		return true
	}
	for _, each := range object.(*corev1.Pod).Status.Conditions {
		if each.Type == corev1.PodReady {
			return (each.Status == corev1.ConditionTrue) == ready
		}
	}
	return true
}

func condition(kind corev1.PodConditionType, holds bool, otherwise string) corev1.PodCondition {
	if holds {
		return corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}
	}
	return corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse, Reason: otherwise, LastTransitionTime: metav1.Now()}
}
