"""Whether this process can do its work, asked by a load balancer."""
