import { followObject, followRelated } from "../follow";
import { type KubeObject, maps, nameOf, namespaceOf, text } from "../objects";
import type { Look, Wait } from "./types";

const NO_PODS =
    "Service does not target any Pods. Selected Pods may not be ready, or " +
    "field '.spec.selector' may not match labels on any Pods";
const NO_ADDRESS = "Service was not allocated an IP address; does your cloud provider support this?";
const COMPLETE = "Service initialization complete";

/** Whether the service gets endpoints at all. */
function hasPods(service: KubeObject): boolean {
    return text(service, "spec", "type") !== "ExternalName" && text(service, "spec", "clusterIP") !== "None";
}

function hasAddress(service: KubeObject): boolean {
    return (
        text(service, "spec", "type") !== "LoadBalancer" ||
        maps(service, "status", "loadBalancer", "ingress").length > 0
    );
}

function isTargeted(slice: KubeObject): boolean {
    return maps(slice, "endpoints").length > 0;
}

function look(service: KubeObject, targeted: boolean): Look {
    const problems = targeted || !hasPods(service) ? [] : [NO_PODS];
    if (!hasAddress(service)) {
        problems.push(NO_ADDRESS);
    }
    return { ready: problems.length === 0, progress: problems.length === 0 ? [COMPLETE] : [], problems };
}

function slices(service: KubeObject) {
    return {
        path: `/apis/discovery.k8s.io/v1/namespaces/${encodeURIComponent(namespaceOf(service))}/endpointslices`,
        query: { labelSelector: `kubernetes.io/service-name=${nameOf(service)}` },
    };
}

/**
 * One look at a service, for a refresh. That it is known to the cluster's controllers is enough, as recorded from the
 * official plug-in: pods come and go, and a service without any for a moment is no failure of the service.
 */
export async function lookAtService({ api, object, signal }: Wait): Promise<Look> {
    const { path, query } = slices(object);
    const list = await api.request("GET", path, { query, signal });
    return look(object, maps(list, "items").length > 0);
}

/**
 * Waits until the service has endpoints, and an address if it is a load balancer. `report` gets each look, so that the
 * caller knows what was missing when the time runs out.
 */
export async function waitForService(wait: Wait, report: (object: KubeObject, look: Look) => void): Promise<void> {
    const { api, object, context, signal } = wait;
    const { path, query } = slices(object);
    let service = object;
    const targets = new Set<string>();
    if (hasPods(object)) {
        void context.status("[1/3] Finding Pods to direct traffic to");
        await followRelated(api, path, query, signal, (slice, gone) => {
            targets[isTargeted(slice) && !gone ? "add" : "delete"](nameOf(slice));
            report(service, look(service, targets.size > 0));
            return targets.size > 0;
        });
    }
    if (!hasAddress(object)) {
        void context.status("[2/3] Attempting to allocate IP address to Service");
        await followObject(api, object, signal, (state) => {
            service = state;
            report(service, look(service, true));
            return hasAddress(state);
        });
    }
    report(service, look(service, true));
}
