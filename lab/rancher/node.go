package main

import (
	"context"
	"errors"
	"log"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// node runs the known pods that the scheduler put on one Node.
type node struct {
	name, ip string
	kubelet  *kubelet
	connect  func(context.Context) (*connection, error)
	link     atomic.Pointer[connection] // nil while the kubelet is away

	lock    sync.Mutex
	running map[types.UID]context.CancelFunc
	pods    sync.WaitGroup
}

func newNode(kubelet *kubelet, ip string) *node {
	return &node{name: kubelet.node, ip: ip, kubelet: kubelet, connect: kubelet.connect, running: map[types.UID]context.CancelFunc{}}
}

// connected returns the kubelet's connection.
func (n *node) connected() (*connection, error) {
	if link := n.link.Load(); link != nil {
		return link, nil
	}
	return nil, errNoKubelet
}

// run follows the node's pods until ctx ends. The pods run on while the kubelet is away.
func (n *node) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if answersOK(ctx, n.kubelet.health) {
			watched, stop := n.kubelet.watched(ctx)
			if err := n.follow(ctx, watched); err != nil {
				log.Printf("node %s: %v", n.name, err)
			}
			stop()
		}
		pause(ctx, time.Second/2)
	}
	n.pods.Wait()
	return nil
}

// follow starts and ends pods as the API server says, until watched ends. Pods run until ctx ends.
func (n *node) follow(ctx, watched context.Context) error {
	link, err := n.connect(watched)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(link.client, 0, informers.WithTweakListOptions(func(options *metav1.ListOptions) {
		options.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", n.name).String()
	}))
	informer := factory.Core().V1().Pods().Informer()
	link.known = informer.GetStore()
	n.link.Store(link)
	defer n.link.Store(nil)
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { n.observe(ctx, object.(*corev1.Pod)) },
		UpdateFunc: func(_, object any) { n.observe(ctx, object.(*corev1.Pod)) },
		DeleteFunc: func(object any) {
			if missed, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = missed.Obj
			}
			n.stop(object.(*corev1.Pod).UID)
		},
	})
	if err != nil {
		return err
	}
	factory.Start(watched.Done())
	defer factory.Shutdown()
	if cache.WaitForCacheSync(watched.Done(), informer.HasSynced) {
		n.stopOthers(link.known.List())
	}
	<-watched.Done()
	return nil
}

// stopOthers ends the pods that were deleted while the kubelet was away.
func (n *node) stopOthers(pods []any) {
	wanted := map[types.UID]bool{}
	for _, pod := range pods {
		wanted[pod.(*corev1.Pod).UID] = true
	}
	n.lock.Lock()
	defer n.lock.Unlock()
	for uid, cancel := range n.running {
		if !wanted[uid] {
			cancel()
		}
	}
}

func (n *node) observe(ctx context.Context, pod *corev1.Pod) {
	program := programOf(pod)
	switch {
	case program == nil:
	case pod.DeletionTimestamp != nil:
		if !n.stop(pod.UID) {
			n.remove(pod)
		}
	default:
		n.start(ctx, pod, program)
	}
}

// programOf returns the program that runs in place of a pod's containers, or nil for a pod that only kwok keeps.
func programOf(pod *corev1.Pod) program {
	switch {
	case pod.Namespace == "ingress-nginx" && pod.Labels["app"] == "ingress-nginx":
		return startIngress
	case pod.Namespace == "cattle-system" && pod.Labels["app"] == "rancher" && pod.Spec.Containers[0].Name == "rancher":
		return startRancher
	}
	return nil
}

func (n *node) start(ctx context.Context, pod *corev1.Pod, program program) {
	n.lock.Lock()
	defer n.lock.Unlock()
	if n.running[pod.UID] != nil || ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	n.running[pod.UID] = cancel
	n.pods.Add(1)
	go func() {
		defer n.pods.Done()
		defer cancel()
		n.runPod(ctx, pod, program)
		n.remove(pod)
		n.lock.Lock()
		defer n.lock.Unlock()
		delete(n.running, pod.UID)
	}()
}

// stop ends a pod. It reports whether the pod runs here.
func (n *node) stop(pod types.UID) bool {
	n.lock.Lock()
	defer n.lock.Unlock()
	cancel := n.running[pod]
	if cancel == nil {
		return false
	}
	cancel()
	return true
}

// remove deletes a terminating pod from the API after its program has ended, as a kubelet does at the end of termination.
func (n *node) remove(pod *corev1.Pod) {
	link, err := n.connected()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	pods := link.client.CoreV1().Pods(pod.Namespace)
	if current, err := pods.Get(ctx, pod.Name, metav1.GetOptions{}); err != nil || current.UID != pod.UID || current.DeletionTimestamp == nil {
		return
	}
	options := metav1.NewDeleteOptions(0)
	options.Preconditions = metav1.NewUIDPreconditions(string(pod.UID))
	if err := pods.Delete(ctx, pod.Name, *options); err != nil {
		log.Printf("pod %s/%s: %v", pod.Namespace, pod.Name, err)
	}
}

// runPod runs the pod's program until ctx ends. It restarts the program after each failure and writes the pod's status.
func (n *node) runPod(ctx context.Context, pod *corev1.Pod, program program) {
	status := &podStatus{node: n, pod: pod, startTime: metav1.Now()}
	for ctx.Err() == nil {
		if err := n.servePod(ctx, pod, program, status); err != nil {
			var problem *startProblem
			if !errors.As(err, &problem) {
				problem = &startProblem{reason: "CrashLoopBackOff", event: "BackOff", message: err.Error()}
			}
			status.waiting(ctx, problem)
		}
		pause(ctx, 2*time.Second)
	}
}

func (n *node) servePod(ctx context.Context, pod *corev1.Pod, program program, status *podStatus) error {
	client, err := n.clientOf(pod)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	servers, err := program(ctx, n, pod, client)
	if err != nil {
		return err
	}
	return serve(ctx, servers, func(ready bool) { status.running(ctx, ready) })
}
