"""Hosts, nodes and a client on one machine: the base of end-to-end tests, demo and bench.

World    one private network: hosts, gateway, upstream, client (a compose project)
Host     a container that only holds an address; what can happen to a machine happens to it
Node     a sidecar on a host, started from the project's own docker-compose.yml
Cluster  nodes with the same settings
Client   opens connections to a virtual IP and counts
"""
