# shellcheck shell=bash
# The pod network of a machine that has no other: a bridge.

configure_network() {
    install -D -m 644 /dev/stdin /etc/cni/net.d/10-bridge.conflist <<'JSON'
{
  "cniVersion": "1.0.0",
  "name": "bridge",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.244.0.0/24" }]], "routes": [{ "dst": "0.0.0.0/0" }] }
    }
  ]
}
JSON
}
