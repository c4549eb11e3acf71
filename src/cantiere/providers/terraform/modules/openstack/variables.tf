variable "prefix" {
  description = "Begins the name of every object."
  type        = string
}

variable "lineage" {
  description = "Identifies the facility; every object carries it."
  type        = string
}

variable "public_key" {
  description = "May log in to the machines."
  type        = string
}

variable "network" {
  description = "The machines' network, and what they may send from beside their own addresses."
  type = object({
    subnet          = string
    pod_subnet      = string
    virtual_address = string
  })
}

variable "rules" {
  description = "Incoming traffic that is let in, by group of machines."
  type = list(object({
    group    = string
    protocol = string # tcp, udp, icmp, or empty for all
    port     = number # 0 for all
    last     = number # of several ports in a row; 0 is one port
    source   = string # a network, or empty for the machines of the facility
  }))
}

variable "machines" {
  description = "The machines by name."
  type = map(object({
    groups  = list(string)
    address = string
    cores   = number
    memory  = number # GiB
    disk    = number # GiB
    gpus    = number
    image   = string
    control = bool # carries a control plane
    door    = bool # gets an address of the outside world
    running = bool
  }))
}

variable "user_data" {
  description = "The cloud-config of each machine, as plain text."
  type        = map(string)
  sensitive   = true
}

variable "cloud" {
  description = "Name of the cloud in clouds.yaml."
  type        = string
}

variable "external_network" {
  description = "The network of the outside world."
  type        = string
}

variable "flavors" {
  description = "Names of the flavors that machines may have; each gets the smallest that fits."
  type        = list(string)
}

variable "dns" {
  description = "Name servers of the machines' network."
  type        = list(string)
  default     = []
}
