output "machines" {
  description = "What is there, by name."
  value = {
    for name, server in openstack_compute_instance_v2.machine : name => {
      id      = server.id
      address = try(openstack_networking_port_v2.machine[name].all_fixed_ips[0], "")
      door    = try(openstack_networking_floatingip_v2.machine[name].address, "")
      state   = lookup({ active = "running", shutoff = "stopped" }, server.power_state, "broken")
    }
  }
}

output "strays" {
  description = "Servers that a run asked for and could not write down any more, by the address of their resource: their ports know them."
  value = {
    for name, port in openstack_networking_port_v2.machine : "openstack_compute_instance_v2.machine[\"${name}\"]" => port.device_id
    if port.device_id != "" && !contains(keys(openstack_compute_instance_v2.machine), name)
  }
}
