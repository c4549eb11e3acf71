// The process that holds a pod's namespaces: it sleeps, and buries the processes that others left behind.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// bury takes the exit status of every child that has ended, so that none stays a zombie.
func bury() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
	}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-v" { // kubeadm runs this as a job before it upgrades a cluster
		fmt.Println("pause of cantiere")
		return
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGINT, syscall.SIGTERM)
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "warning: this should be the first process of a pod")
	}
	bury()
	for received := range signals {
		if received == syscall.SIGCHLD {
			bury()
			continue
		}
		fmt.Fprintln(os.Stderr, "shutting down, got signal:", received)
		return
	}
}
