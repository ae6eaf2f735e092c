import { Address } from "@pulumi/gcp/compute/address";
import { Firewall, type FirewallArgs } from "@pulumi/gcp/compute/firewall";
import { Network } from "@pulumi/gcp/compute/network";
import { Router } from "@pulumi/gcp/compute/router";
import { RouterNat } from "@pulumi/gcp/compute/routerNat";
import { Subnetwork } from "@pulumi/gcp/compute/subnetwork";
import * as pulumi from "@pulumi/pulumi";
import type { Role } from "../../contracts";
import { apiPort, project } from "../../names";
import type { GcpSettings } from "./settings";

export interface GcpNetworkArgs {
    readonly gcp: GcpSettings;
    /** First part of the names of all that is made. */
    readonly prefix: string;
}

/** Ports that the nodes need of each other: https://kubernetes.io/docs/reference/networking/ports-and-protocols/ */
const kubeletPort = "10250";
/** flannel's vxlan: https://github.com/flannel-io/flannel/blob/master/Documentation/backends.md */
const vxlanPort = "8472";

/** Addresses that Identity-Aware Proxy's TCP forwarding comes from: https://cloud.google.com/iap/docs/using-tcp-forwarding */
const iapRange = "35.235.240.0/20";

/**
 * A network of its own. Machines get out by Cloud NAT; nothing gets in but administrators, to the control plane. Between
 * the machines only those ports are open that the cluster needs.
 *
 * Pods of different nodes talk through flannel's vxlan. Its host-gw backend does not work here: Google's network routes
 * each packet by itself, and drops those of pods, whose addresses it does not know.
 */
export class GcpNetwork extends pulumi.ComponentResource {
    public readonly subnetwork: pulumi.Output<string>;
    /** The control plane's external address; none where the only way in is Identity-Aware Proxy. */
    public readonly externalAddress: pulumi.Output<string> | undefined;
    /** Without it a machine that boots reaches no package repository. */
    public readonly nat: pulumi.Resource;
    /** Without them no machine can be logged in to. */
    public readonly firewalls: readonly pulumi.Resource[];

    constructor(name: string, args: GcpNetworkArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:target:GcpNetwork`, name, {}, opts);
        const { gcp, prefix } = args;
        const { region } = gcp;
        const child = { parent: this };

        const network = new Network(
            `${name}-vpc`,
            { name: prefix, autoCreateSubnetworks: false, routingMode: "REGIONAL" },
            child,
        );
        const subnetwork = new Subnetwork(
            `${name}-subnet`,
            { name: prefix, network: network.id, region, ipCidrRange: gcp.networkRange, privateIpGoogleAccess: true },
            child,
        );
        this.subnetwork = subnetwork.id;
        const router = new Router(`${name}-router`, { name: prefix, network: network.id, region }, child);
        this.nat = new RouterNat(
            `${name}-nat`,
            {
                name: prefix,
                router: router.name,
                region,
                natIpAllocateOption: "AUTO_ONLY",
                sourceSubnetworkIpRangesToNat: "LIST_OF_SUBNETWORKS",
                subnetworks: [{ name: subnetwork.id, sourceIpRangesToNats: ["PRIMARY_IP_RANGE"] }],
                logConfig: { enable: true, filter: "ERRORS_ONLY" },
            },
            child,
        );
        this.externalAddress = throughIap(gcp)
            ? undefined
            : new Address(`${name}-address`, { name: `${prefix}-control-plane`, region }, child).address;

        // Whatever no rule allows is denied: https://cloud.google.com/firewall/docs/firewalls#default_firewall_rules
        const tag = (role: Role) => machineTag(prefix, role);
        const allow = (rule: string, description: string, rest: FirewallRule) =>
            new Firewall(
                `${name}-allow-${rule}`,
                { name: `${prefix}-${rule}`, description, network: network.id, direction: "INGRESS", ...rest },
                child,
            );
        const tcp = (...ports: string[]) => [{ protocol: "tcp", ports }];
        const from = { worker: { sourceTags: [tag("worker")] }, controlPlane: { sourceTags: [tag("control-plane")] } };
        const to = { worker: { targetTags: [tag("worker")] }, controlPlane: { targetTags: [tag("control-plane")] } };
        const nodes = [tag("control-plane"), tag("worker")];
        this.firewalls = [
            allow("admin", "SSH and the API server, for administrators", {
                allows: tcp("22", String(apiPort)),
                sourceRanges: adminCidrs(gcp),
                ...to.controlPlane,
            }),
            allow("jump", "SSH to the workers, from the control plane only", {
                allows: tcp("22"),
                ...from.controlPlane,
                ...to.worker,
            }),
            allow("api", "The API server, for the workers", {
                allows: tcp(String(apiPort)),
                ...from.worker,
                ...to.controlPlane,
            }),
            allow("kubelet", "Logs and exec, for the API server", {
                allows: tcp(kubeletPort),
                ...from.controlPlane,
                ...to.worker,
            }),
            allow("pods", "The pod network between the nodes (vxlan)", {
                allows: [{ protocol: "udp", ports: [vxlanPort] }],
                sourceTags: nodes,
                targetTags: nodes,
            }),
        ];
        this.registerOutputs({});
    }
}

type FirewallRule = Pick<FirewallArgs, "allows" | "sourceRanges" | "sourceTags"> & { readonly targetTags: string[] };

/** The network tag that the firewall knows machines by. */
export function machineTag(prefix: string, role: Role): string {
    return `${prefix}-${role}`;
}

/** The ranges that SSH and the API server are open to. */
export function adminCidrs(gcp: GcpSettings): string[] {
    return [...new Set(gcp.adminRanges.map((one) => (one === "iap" ? iapRange : one)))];
}

/** Whether the only way in is Identity-Aware Proxy: no machine has an external address then. */
export function throughIap(gcp: GcpSettings): boolean {
    return gcp.adminRanges.every((one) => one === "iap");
}
