// Command kube-router is the part of kube-router that enforces NetworkPolicies, with kube-router's own flags. Its router and its
// service proxy, which would bring BGP, IPVS and a cloud's SDK, are left out: clusters here have flannel and kube-proxy for that.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	"github.com/spf13/pflag"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "kube-router:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	config := options.NewKubeRouterConfig()
	config.AddFlags(pflag.CommandLine)
	pflag.Parse()
	klog.InitFlags(nil)
	if err := errors.Join(flag.Set("logtostderr", "true"), flag.Set("v", config.VLevel)); err != nil {
		return err
	}
	if config.RunRouter || config.RunServiceProxy || config.RunLoadBalancer || !config.RunFirewall {
		return errors.New("this build enforces NetworkPolicies and nothing else: --run-firewall=true, and " +
			"--run-router, --run-service-proxy and --run-loadbalancer=false")
	}
	// In a pod both are empty, which means its service account.
	access, err := clientcmd.BuildConfigFromFlags(config.Master, config.Kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(access)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods().Informer()
	namespaces := factory.Core().V1().Namespaces().Informer()
	policies := factory.Networking().V1().NetworkPolicies().Informer()
	factory.Start(ctx.Done())
	known, cancel := context.WithTimeout(ctx, config.CacheSyncTimeout)
	defer cancel()
	if !cache.WaitForCacheSync(known.Done(), pods.HasSynced, namespaces.HasSynced, policies.HasSynced) {
		return fmt.Errorf("the API server has not sent everything within %v", config.CacheSyncTimeout)
	}
	return enforce(ctx, config, client, pods, namespaces, policies)
}

func enforce(ctx context.Context, config *options.KubeRouterConfig, client kubernetes.Interface, pods, namespaces, policies cache.SharedIndexInformer) error {
	tables, sets, err := netpol.NewIPTablesHandlers(config)
	if err != nil {
		return err
	}
	controller, err := netpol.NewNetworkPolicyController(client, config, pods, policies, namespaces, &sync.Mutex{}, tables, sets)
	if err != nil {
		return err
	}
	_, ofPods := pods.AddEventHandler(controller.PodEventHandler)
	_, ofNamespaces := namespaces.AddEventHandler(controller.NamespaceEventHandler)
	_, ofPolicies := policies.AddEventHandler(controller.NetworkPolicyEventHandler)
	if err := errors.Join(ofPods, ofNamespaces, ofPolicies); err != nil {
		return err
	}
	// It tells of each round that it is alive, and waits until somebody takes note.
	health, err := healthcheck.NewHealthController(config)
	if err != nil {
		return err
	}
	health.SetAlive()
	beats := make(chan *healthcheck.ControllerHeartbeat, 10)
	var all sync.WaitGroup
	all.Add(3)
	go health.RunServer(ctx.Done(), &all)
	go health.RunCheck(beats, ctx.Done(), &all)
	go controller.Run(beats, ctx.Done(), &all)
	all.Wait()
	return nil
}
