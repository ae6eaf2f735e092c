// Pods that any namespace takes: without any rights, as Pod Security's level "restricted" wants them, and with requests and limits,
// which quotas ask for (https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted). CommonJS, which every
// Node and every loader takes; the types are in the file beside it.
"use strict";

/** The security context of the pod. */
const podContext = { runAsNonRoot: true, runAsUser: 65534, seccompProfile: { type: "RuntimeDefault" } };

/** The security context of each of its containers. */
const containerContext = { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } };

/** For a container that idles: a worker in use is not asked to keep much free for it. */
const resources = { requests: { memory: "16Mi", cpu: "1m" }, limits: { memory: "256Mi", cpu: "500m" } };

/** Where such a container may write. */
const scratch = { mount: { name: "tmp", mountPath: "/tmp" }, volume: { name: "tmp", emptyDir: {} } };

module.exports = { podContext, containerContext, resources, scratch };
