import pins from "../versions.json";

/**
 * Every pinned version, APT key and image. The file is JSON because the set-up and the mirror read it too, before any
 * package is installed.
 *
 * Sources of the pins: containerd's table of supported Kubernetes releases
 * (https://github.com/containerd/containerd/blob/main/RELEASES.md) and the floors for a working gVisor shim, 2.0.6 and
 * 2.1.2 (https://github.com/containerd/containerd/issues/11708).
 */
export const versions = pins;
