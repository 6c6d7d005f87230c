"""The shipped compose file on whole Debian hosts, in namespaces of this machine.

Lan      a bridge with a gateway, an upstream and a client
Machine  a Debian host on it: systemd, networkd, sshd, Docker Engine; it can lose its power
Pair     two of them, set up as the README says
Watcher  a container on it, from which people watch them
"""
