import * as fs from "node:fs";
import * as path from "node:path";
import { Instance } from "@pulumi/gcp/compute/instance";
import * as pulumi from "@pulumi/pulumi";
import { checkout } from "../../checkout";
import type { Role } from "../../contracts";
import { hostCall, hostStep } from "../../hostStep";
import { project } from "../../names";
import { machineTag } from "./network";
import type { GcpSettings } from "./settings";

/** User that the guest agent makes for the key in the metadata; it may become root without a password. */
export const machineUser = "sandboxes";

export interface GcpMachineArgs {
    readonly gcp: GcpSettings;
    readonly prefix: string;
    /** Name of the node; the machine's own is the prefix and this. */
    readonly node: string;
    readonly role: Role;
    readonly zone: string;
    readonly subnetwork: pulumi.Input<string>;
    /** Address of the service account. */
    readonly serviceAccount: pulumi.Input<string>;
    /** Public key that may log in. */
    readonly publicKey: pulumi.Input<string>;
    readonly labels: Readonly<Record<string, string>>;
    /** No address, no way from outside. */
    readonly externalAddress?: pulumi.Input<string>;
    /** What a machine needs while it boots. */
    readonly bootsAfter: readonly pulumi.Resource[];
}

/**
 * A shielded virtual machine, and its SSH host key: the machine's guest agent makes it at the first boot and publishes it
 * as a guest attribute, from which it is read once, over Google's API, and pinned in the state.
 */
export class GcpMachine extends pulumi.ComponentResource {
    public readonly instance: Instance;
    public readonly address: pulumi.Output<string>;
    public readonly hostKey: pulumi.Output<string>;

    constructor(name: string, args: GcpMachineArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:target:GcpMachine`, name, {}, opts);
        const { gcp, prefix, node, role, zone } = args;
        const machineName = `${prefix}-${node}`;
        const spot = role === "worker" && gcp.spot;

        this.instance = new Instance(
            `${name}-instance`,
            {
                name: machineName,
                zone,
                machineType: role === "worker" ? gcp.workerMachineType : gcp.controlPlaneMachineType,
                labels: { ...args.labels, role },
                tags: [machineTag(prefix, role)],
                bootDisk: {
                    autoDelete: true,
                    initializeParams: {
                        image: `projects/${gcp.imageProject}/global/images/family/${gcp.imageFamily}`,
                        size: gcp.diskSizeGb,
                        type: gcp.diskType,
                    },
                },
                networkInterfaces: [
                    {
                        subnetwork: args.subnetwork,
                        stackType: "IPV4_ONLY",
                        accessConfigs: args.externalAddress === undefined ? [] : [{ natIp: args.externalAddress }],
                    },
                ],
                canIpForward: false,
                serviceAccount: {
                    email: args.serviceAccount,
                    // The account has no roles. One scope is needed, or the provider leaves the account out
                    // (https://github.com/hashicorp/terraform-provider-google/issues/13807): this one gives least.
                    scopes: ["https://www.googleapis.com/auth/userinfo.email"],
                },
                shieldedInstanceConfig: {
                    enableSecureBoot: true,
                    enableVtpm: true,
                    enableIntegrityMonitoring: true,
                },
                scheduling: spot
                    ? {
                          provisioningModel: "SPOT",
                          preemptible: true,
                          automaticRestart: false,
                          onHostMaintenance: "TERMINATE",
                          // Its disk stays, so it is the same node when it is started again.
                          instanceTerminationAction: "STOP",
                      }
                    : { provisioningModel: "STANDARD", automaticRestart: true, onHostMaintenance: "MIGRATE" },
                metadata: {
                    "ssh-keys": pulumi.interpolate`${machineUser}:${args.publicKey}`,
                    "block-project-ssh-keys": "TRUE",
                    "enable-oslogin": "FALSE",
                    "enable-guest-attributes": "TRUE",
                    "serial-port-enable": "FALSE",
                    // Not metadataStartupScript: a change of that one replaces the machine.
                    "startup-script": fs.readFileSync(path.join(checkout, "scripts/on-machine/gcp/boot.sh"), "utf8"),
                },
                // With `up --refresh` a spot machine that was taken away is started again.
                desiredStatus: "RUNNING",
                deletionProtection: gcp.deletionProtection,
                allowStoppingForUpdate: true,
            },
            {
                parent: this,
                dependsOn: [...args.bootsAfter],
                // Else the old machine would still have the name, and the external address.
                deleteBeforeReplace: true,
                // The family is looked up when the machine is made; the image found stands in the state. A newer one,
                // or another family in the settings, is for machines made from now on and replaces none.
                ignoreChanges: ["bootDisk.initializeParams.image"],
            },
        );
        this.address = this.instance.networkInterfaces.apply(([first]) => first?.networkIp ?? "");

        // A command and no data source: that one would be read again at each preview, so a machine could change the key
        // that it is known by, and a preview would fail while a machine is stopped.
        const hostKey = hostStep(
            `${name}-host-key`,
            {
                create: hostCall(
                    `gcp-host-key --project ${gcp.project} --zone ${zone} --instance ${machineName} --resource ${name}-instance`,
                ),
                // Another machine has another key.
                triggers: [this.instance.instanceId],
            },
            { parent: this, dependsOn: [this.instance] },
        );
        this.hostKey = hostKey.stdout;
        this.registerOutputs({});
    }
}
