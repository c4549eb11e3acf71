# The machines of a facility in an OpenStack project. What every such module takes and gives: docs/how-to/terraform.md.

terraform {
  required_providers {
    openstack = { source = "terraform-provider-openstack/openstack" }
  }
}

provider "openstack" {
  cloud = var.cloud
}

locals {
  mark  = "cantiere ${var.prefix} ${var.lineage}" # as provider openstack marks what is its own
  doors = { for name, machine in var.machines : name => machine if machine.door }
  rules = { # by what they let in
    for rule in var.rules :
    join(" ", [rule.group, rule.protocol, join("-", concat([rule.port], rule.last == 0 ? [] : [rule.last])), rule.source]) => rule
  }
  flavors = values(data.openstack_compute_flavor_v2.allowed)
  fitting = { # the smallest first
    for name, machine in var.machines : name => sort([
      for flavor in local.flavors : format("%06d %09d %06d %s", flavor.vcpus, flavor.ram, flavor.disk, flavor.id)
      if flavor.vcpus >= machine.cores && flavor.ram >= machine.memory * 1024 && flavor.disk >= machine.disk && machine.gpus == 0
    ])
  }
}

data "openstack_networking_network_v2" "outside" {
  name     = var.external_network
  external = true
}

data "openstack_compute_flavor_v2" "allowed" {
  for_each = toset(var.flavors)
  name     = each.key
}

data "openstack_images_image_v2" "wanted" {
  for_each    = toset([for machine in var.machines : machine.image])
  name        = each.key
  most_recent = true
}

resource "openstack_compute_keypair_v2" "login" {
  name       = "${var.prefix}-${var.lineage}"
  public_key = var.public_key
}

resource "openstack_networking_network_v2" "machines" {
  name        = var.prefix
  description = local.mark
}

resource "openstack_networking_subnet_v2" "machines" {
  name            = var.prefix
  description     = local.mark
  network_id      = openstack_networking_network_v2.machines.id
  cidr            = var.network.subnet
  dns_nameservers = var.dns
  allocation_pool { # DHCP's own; machines get theirs from above it
    start = cidrhost(var.network.subnet, 2)
    end   = cidrhost(var.network.subnet, 9)
  }
}

resource "openstack_networking_router_v2" "machines" {
  name                = var.prefix
  description         = local.mark
  external_network_id = data.openstack_networking_network_v2.outside.id
}

resource "openstack_networking_router_interface_v2" "machines" {
  router_id = openstack_networking_router_v2.machines.id
  subnet_id = openstack_networking_subnet_v2.machines.id
}

resource "openstack_networking_secgroup_v2" "group" {
  for_each    = toset(var.rules[*].group)
  name        = "${var.prefix}-${each.key}"
  description = local.mark
  lifecycle {
    create_before_destroy = true # machines leave a group before it goes
  }
}

resource "openstack_networking_secgroup_rule_v2" "rule" {
  for_each          = local.rules
  security_group_id = openstack_networking_secgroup_v2.group[each.value.group].id
  direction         = "ingress"
  ethertype         = "IPv4"
  protocol          = each.value.protocol
  port_range_min    = each.value.port == 0 ? null : each.value.port
  port_range_max    = each.value.port == 0 ? null : max(each.value.port, each.value.last)
  remote_ip_prefix  = each.value.source == "" ? null : each.value.source
  remote_group_id   = each.value.source == "" ? openstack_networking_secgroup_v2.group["machines"].id : null
}

resource "openstack_networking_port_v2" "virtual" { # keeps the cluster's virtual address from being given away
  count              = var.network.virtual_address == "" ? 0 : 1
  name               = "${var.prefix}-virtual"
  description        = local.mark
  network_id         = openstack_networking_network_v2.machines.id
  no_security_groups = true
  fixed_ip {
    subnet_id  = openstack_networking_subnet_v2.machines.id
    ip_address = var.network.virtual_address
  }
}

resource "openstack_networking_port_v2" "machine" {
  for_each           = var.machines
  name               = "${var.prefix}-${each.key}"
  description        = "${local.mark} ${each.key}"
  network_id         = openstack_networking_network_v2.machines.id
  security_group_ids = [for name in each.value.groups : openstack_networking_secgroup_v2.group[name].id]
  fixed_ip {
    subnet_id  = openstack_networking_subnet_v2.machines.id
    ip_address = each.value.address
  }
  dynamic "allowed_address_pairs" {
    for_each = compact([var.network.pod_subnet, each.value.control ? var.network.virtual_address : ""])
    content {
      ip_address = allowed_address_pairs.value
    }
  }
}

resource "openstack_networking_floatingip_v2" "machine" {
  for_each    = local.doors
  pool        = var.external_network
  port_id     = openstack_networking_port_v2.machine[each.key].id
  description = "${local.mark} ${each.key}"
  depends_on  = [openstack_networking_router_interface_v2.machines]
}

resource "openstack_compute_instance_v2" "machine" {
  for_each    = var.machines
  name        = "${var.prefix}-${each.key}"
  flavor_id   = try(split(" ", local.fitting[each.key][0])[3], "")
  image_id    = data.openstack_images_image_v2.wanted[each.value.image].id
  key_pair    = openstack_compute_keypair_v2.login.name
  user_data   = var.user_data[each.key]
  power_state = each.value.running ? "active" : "shutoff"
  metadata    = { cantiere = "${local.mark} ${each.key}" }
  network {
    port = openstack_networking_port_v2.machine[each.key].id
  }
  lifecycle {
    ignore_changes = [flavor_id, image_id, key_pair, user_data] # a machine that is there goes on until somebody has it replaced
    precondition {
      condition     = length(local.fitting[each.key]) > 0
      error_message = "${each.key}: no flavor of ${join(", ", var.flavors)} has ${each.value.cores} cores, ${each.value.memory} GiB of memory, ${each.value.disk} GiB of disk and ${each.value.gpus} GPUs; this module chooses none with GPUs."
    }
  }
}
