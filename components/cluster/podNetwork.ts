import type { Sources } from "../contracts";
import { podRange } from "../names";
import { imageReference, versions } from "../versions";

const namespace = "kube-flannel";
const name = "kube-flannel";
const labels = { app: "flannel" };

/**
 * flannel as the pod network: the objects of its own manifest
 * (https://github.com/flannel-io/flannel/blob/master/Documentation/kube-flannel.yml).
 *
 * @param kind where the images come from
 * @param backend "host-gw" routes between nodes that share a network and needs no tunnel; "vxlan" works everywhere
 * @returns a JSON list for `kubectl apply`
 */
export function podNetworkManifest(kind: Sources["kind"], backend: "host-gw" | "vxlan" = "host-gw"): string {
    const [image, pluginImage] = [versions.flannel.image, versions.flannel.cniPluginImage].map((one) =>
        imageReference(one, kind),
    );
    const meta = { name, namespace, labels };
    const mount = (volume: string, mountPath: string) => ({ name: volume, mountPath });
    const hostPath = (volume: string, path: string, type?: string) => ({ name: volume, hostPath: { path, type } });
    const items = [
        {
            apiVersion: "v1",
            kind: "Namespace",
            metadata: { name: namespace, labels: { "pod-security.kubernetes.io/enforce": "privileged" } },
        },
        { apiVersion: "v1", kind: "ServiceAccount", metadata: meta },
        {
            apiVersion: "rbac.authorization.k8s.io/v1",
            kind: "ClusterRole",
            metadata: { name, labels },
            rules: [
                { apiGroups: [""], resources: ["pods"], verbs: ["get"] },
                { apiGroups: [""], resources: ["nodes"], verbs: ["get", "list", "watch"] },
                { apiGroups: [""], resources: ["nodes/status"], verbs: ["patch"] },
            ],
        },
        {
            apiVersion: "rbac.authorization.k8s.io/v1",
            kind: "ClusterRoleBinding",
            metadata: { name, labels },
            roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
            subjects: [{ kind: "ServiceAccount", name, namespace }],
        },
        {
            apiVersion: "v1",
            kind: "ConfigMap",
            metadata: meta,
            data: {
                "cni-conf.json": JSON.stringify({
                    name: "cbr0",
                    cniVersion: "0.3.1",
                    plugins: [
                        { type: "flannel", delegate: { hairpinMode: true, isDefaultGateway: true } },
                        { type: "portmap", capabilities: { portMappings: true } },
                    ],
                }),
                "net-conf.json": JSON.stringify({ Network: podRange, Backend: { Type: backend } }),
            },
        },
        {
            apiVersion: "apps/v1",
            kind: "DaemonSet",
            metadata: meta,
            spec: {
                selector: { matchLabels: labels },
                template: {
                    metadata: { labels },
                    spec: {
                        hostNetwork: true,
                        priorityClassName: "system-node-critical",
                        serviceAccountName: name,
                        nodeSelector: { "kubernetes.io/os": "linux" },
                        // NoExecute too, as kube-proxy: a node that loses its network when it is rebooted is none.
                        tolerations: [{ operator: "Exists" }],
                        initContainers: [
                            {
                                name: "install-cni-plugin",
                                image: pluginImage,
                                command: ["cp", "-f", "/flannel", "/opt/cni/bin/flannel"],
                                volumeMounts: [mount("cni-plugin", "/opt/cni/bin")],
                            },
                            {
                                name: "install-cni",
                                image,
                                command: [
                                    "cp",
                                    "-f",
                                    "/etc/kube-flannel/cni-conf.json",
                                    "/etc/cni/net.d/10-flannel.conflist",
                                ],
                                volumeMounts: [mount("cni", "/etc/cni/net.d"), mount("config", "/etc/kube-flannel/")],
                            },
                        ],
                        containers: [
                            {
                                name,
                                image,
                                command: ["/opt/bin/flanneld"],
                                args: ["--ip-masq", "--kube-subnet-mgr"],
                                resources: { requests: { cpu: "100m", memory: "50Mi" } },
                                securityContext: { privileged: false, capabilities: { add: ["NET_ADMIN", "NET_RAW"] } },
                                env: ["name", "namespace"].map((field) => ({
                                    name: `POD_${field.toUpperCase()}`,
                                    valueFrom: { fieldRef: { fieldPath: `metadata.${field}` } },
                                })),
                                volumeMounts: [
                                    mount("run", "/run/flannel"),
                                    mount("config", "/etc/kube-flannel/"),
                                    mount("xtables-lock", "/run/xtables.lock"),
                                ],
                            },
                        ],
                        volumes: [
                            hostPath("run", "/run/flannel"),
                            hostPath("cni-plugin", "/opt/cni/bin"),
                            hostPath("cni", "/etc/cni/net.d"),
                            hostPath("xtables-lock", "/run/xtables.lock", "FileOrCreate"),
                            { name: "config", configMap: { name } },
                        ],
                    },
                },
            },
        },
    ];
    return JSON.stringify({ apiVersion: "v1", kind: "List", items });
}
