import type { Value } from "../shared/properties";
import { isMap } from "../shared/properties";
import { at, gvkOf, type KubeObject } from "./objects";

/** A step of a property path: a key, an index, or any index. */
export type Step = string | number;

const IDENTITY = ["metadata.name", "metadata.namespace"];
const SELECTOR = ["spec.selector"];
const PERSISTENT_VOLUME_SOURCES =
    `awsElasticBlockStore azureDisk azureFile cephfs cinder csi fc flexVolume flocker gcePersistentDisk glusterfs hostPath
    iscsi local nfs photonPersistentDisk portworxVolume quobyte rbd scaleIO storageos vsphereVolume`.split(/\s+/);
const POD_SPEC =
    `affinity automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks hostAliases hostIPC hostNetwork hostPID
    hostname imagePullSecrets nodeName nodeSelector overhead preemptionPolicy priority priorityClassName readinessGates
    restartPolicy runtimeClassName schedulerName securityContext serviceAccount serviceAccountName shareProcessNamespace
    subdomain terminationGracePeriodSeconds volumes`.split(/\s+/);
const CONTAINER =
    `args command env image imagePullPolicy lifecycle livenessProbe ports readinessProbe resources securityContext stdin
    stdinOnce terminationMessagePath terminationMessagePolicy tty volumeDevices volumeMounts workingDir`.split(/\s+/);

const ROLE_BINDING = ["roleRef"];
const JOB = ["spec.completions", "spec.parallelism", "spec.template", ...SELECTOR];
const STATEFUL_SET = [
    ...["podManagementPolicy", "revisionHistoryLimit", "serviceName", "volumeClaimTemplates"].map((f) => `spec.${f}`),
    ...SELECTOR,
];

/**
 * Fields that cannot change in place, by `group/version/Kind` (`*`: any version). The same set as the official provider's:
 * https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/provider/diff.go
 */
const TABLE: Record<string, string[]> = {
    "/v1/PersistentVolume": PERSISTENT_VOLUME_SOURCES.map((source) => `spec.${source}`),
    "/v1/PersistentVolumeClaim": ["spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"],
    "/v1/Pod": [
        ...POD_SPEC.map((field) => `spec.${field}`),
        ...CONTAINER.flatMap((field) => [`spec.containers.*.${field}`, `spec.initContainers.*.${field}`]),
    ],
    "/v1/ResourceQuota": ["spec.scopes"],
    "/v1/Service": ["spec.clusterIP"],
    "apps/v1beta1/StatefulSet": STATEFUL_SET,
    "apps/v1beta2/StatefulSet": STATEFUL_SET,
    "apps/v1/StatefulSet": STATEFUL_SET,
    "apps/v1beta2/DaemonSet": SELECTOR,
    "apps/v1/DaemonSet": SELECTOR,
    "apps/v1beta2/Deployment": SELECTOR,
    "apps/v1/Deployment": SELECTOR,
    "policy/v1beta1/PodDisruptionBudget": ["spec"],
    "rbac.authorization.k8s.io/*/ClusterRoleBinding": ROLE_BINDING,
    "rbac.authorization.k8s.io/*/RoleBinding": ROLE_BINDING,
    "storage.k8s.io/v1/StorageClass": ["parameters", "provisioner"],
    "batch/*/Job": JOB,
};

/** Whether Secrets and ConfigMaps are changed in place instead of replaced. */
interface Mutability {
    secrets: boolean;
    configMaps: boolean;
}

/** The paths whose change replaces the object. A Patch resource is replaced only with its target. */
export function forceNewPaths(object: KubeObject, patch: boolean, mutable: Mutability): Step[][] {
    const { group, version, kind } = gvkOf(object);
    const paths = [...IDENTITY];
    if (!patch) {
        const immutable = at(object, "immutable") === true;
        if (group === "" && kind === "Secret") {
            paths.push(...(mutable.secrets && !immutable ? ["type"] : ["type", "stringData", "data"]));
        } else if (group === "" && kind === "ConfigMap") {
            paths.push(...(mutable.configMaps && !immutable ? [] : ["binaryData", "data"]));
        } else {
            paths.push(...(TABLE[`${group}/${version}/${kind}`] ?? TABLE[`${group}/*/${kind}`] ?? []));
        }
    }
    return paths.map((path) => path.split("."));
}

/** Whether the path exists in the value. */
function holds(value: Value, path: Step[]): boolean {
    const [step, ...rest] = path;
    if (step === undefined) {
        return true;
    }
    if (step === "*") {
        return Array.isArray(value) && value.some((element) => holds(element, rest));
    }
    const child = isMap(value) ? value[step] : undefined;
    return child !== undefined && holds(child, rest);
}

/** Whether setting `value` (null: removing what is there) at `path` touches one of the paths. */
export function touches(paths: Step[][], path: Step[], value: Value): boolean {
    return paths.some((forced) => {
        const common = Math.min(forced.length, path.length);
        const along = forced
            .slice(0, common)
            .every((step, i) => step === path[i] || (step === "*" && typeof path[i] === "number"));
        return along && holds(value, forced.slice(common));
    });
}
