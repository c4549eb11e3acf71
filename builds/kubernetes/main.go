// Every Kubernetes program in one file: the name it is called by chooses the program.
//
// The programs share nearly all of their code, so one link and one image layer
// take the place of seven.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	_ "time/tzdata" // time zones of CronJobs, in images without a zone database

	"github.com/spf13/cobra"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // credential plugins of kubectl
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // metrics of the API client
	_ "k8s.io/component-base/metrics/prometheus/version"  // metric of the version
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubeadm "k8s.io/kubernetes/cmd/kubeadm/app"
	kubeadmerr "k8s.io/kubernetes/cmd/kubeadm/app/util/errors"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// components makes the command of each program that runs as a service.
var components = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kube-proxy":              proxy.NewProxyCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
}

// tools runs each program that a person or script calls.
var tools = map[string]func(){
	"kubeadm": func() { kubeadmerr.HandleError(kubeadm.Run()) },
	"kubectl": func() {
		// kubectl reads its verbosity before its flags are parsed: its own main does the same.
		if _, err := logs.GlogSetter(kubectl.GetLogVerbosity(os.Args)); err != nil {
			fmt.Fprintln(os.Stderr, "kubectl: verbosity:", err)
		}
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			kubectlutil.CheckErr(err)
		}
	},
}

// names lists every program, sorted.
func names() []string {
	all := make([]string, 0, len(components)+len(tools))
	for name := range components {
		all = append(all, name)
	}
	for name := range tools {
		all = append(all, name)
	}
	sort.Strings(all)
	return all
}

func known(name string) bool {
	_, component := components[name]
	_, tool := tools[name]
	return component || tool
}

func main() {
	name := filepath.Base(os.Args[0])
	if !known(name) && len(os.Args) > 1 { // called by the file's own name: the program is the first argument
		os.Args = os.Args[1:]
		name = filepath.Base(os.Args[0])
	}
	if command, ok := components[name]; ok {
		os.Exit(cli.Run(command()))
	}
	if run, ok := tools[name]; ok {
		run()
		return
	}
	fmt.Fprintln(os.Stderr, "call this file by one of the names", strings.Join(names(), ", "))
	os.Exit(2)
}
