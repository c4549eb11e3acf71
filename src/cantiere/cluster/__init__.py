"""An existing Kubernetes cluster, whoever made it: what is seen there, what releases need of it, and how they come to be."""
