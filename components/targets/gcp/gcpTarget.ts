import * as crypto from "node:crypto";
import * as command from "@pulumi/command";
import { Provider } from "@pulumi/gcp/provider";
import { Account } from "@pulumi/gcp/serviceaccount/account";
import * as pulumi from "@pulumi/pulumi";
import { utils } from "ssh2";
import { commandDirectory } from "../../checkout";
import type { Machine, Role, Sources, Target } from "../../contracts";
import { apiPort, project } from "../../names";
import { remoteSources, type SourceSettings } from "../upstream";
import { GcpMachine, machineUser } from "./machine";
import { GcpNetwork } from "./network";
import type { GcpSettings } from "./settings";
import { zoneOf, zonesOf } from "./zones";

export interface GcpTargetArgs {
    readonly settings: SourceSettings & { readonly workers: readonly string[] };
    readonly gcp: GcpSettings;
    /** Stack name: all that is made in the project carries it, and the SSH key is kept in .local/<stack>. */
    readonly stack: string;
}

/**
 * Virtual machines on Google Cloud, in a network of their own. Administrators reach the control plane, and through it the
 * workers, which have no external address. Needs `gcloud` on this host, logged in.
 */
export class GcpTarget extends pulumi.ComponentResource implements Target {
    public readonly controlPlane: Machine;
    public readonly workers: readonly Machine[];
    public readonly sources: pulumi.Output<Sources>;
    public readonly gvisorSources: pulumi.Output<Sources>;
    public readonly kubernetesVersion?: string;
    /** flannel's backend that works in this network. */
    public readonly podNetwork = "vxlan";
    /** HOST:PORT at which the operator reaches the API server; the nodes use the control plane's own address. */
    public readonly apiEndpoint: pulumi.Output<string>;

    constructor(name: string, args: GcpTargetArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:target:Gcp`, name, {}, opts);
        const { settings, gcp, stack } = args;
        const prefix = resourcePrefix(stack);
        const zones = zonesOf(gcp);
        this.sources = pulumi.output(remoteSources(settings));
        this.gvisorSources = this.sources;
        this.kubernetesVersion = settings.kubernetesVersion;

        const provider = new Provider(`${name}-google`, { project: gcp.project, region: gcp.region }, { parent: this });
        const child = { parent: this, provider };
        const key = new command.local.Command(
            `${name}-key`,
            {
                dir: commandDirectory,
                create: keyCommand(stack, "create"),
                delete: keyCommand(stack, "remove"),
                addPreviousOutputInEnv: false,
                logging: command.local.Logging.None,
            },
            { parent: this, deleteBeforeReplace: true, additionalSecretOutputs: ["stdout"] },
        );
        const account = new Account(
            `${name}-account`,
            {
                accountId: prefix,
                displayName: `Machines of ${project}, stack ${stack}`,
                description: "Has no roles: what runs on the machines needs nothing of Google's API",
            },
            child,
        );
        const network = new GcpNetwork(`${name}-network`, { gcp, prefix }, child);

        const machine = (node: string, role: Role, zone: string, externalAddress?: pulumi.Output<string>) =>
            new GcpMachine(
                `${name}-${node}`,
                {
                    gcp,
                    prefix,
                    node,
                    role,
                    zone,
                    externalAddress,
                    subnetwork: network.subnetwork,
                    serviceAccount: account.email,
                    publicKey: pulumi.unsecret(key.stdout.apply(publicKey)),
                    labels: { ...gcp.labels, stack: prefix, "managed-by": "pulumi" },
                    bootsAfter: [network.nat, ...network.firewalls],
                },
                child,
            );
        const login = ({ hostKey }: GcpMachine) => ({
            user: machineUser,
            hostKey,
            privateKey: key.stdout,
            // sshd answers before the guest agent has made the user.
            dialErrorLimit: 30,
            perDialTimeout: 15,
        });

        const first = machine("control-plane", "control-plane", zones[0] ?? "", network.externalAddress);
        // Without an external address the operator holds two tunnels of Identity-Aware Proxy open.
        const { externalAddress } = network;
        const entry = {
            host: externalAddress ?? "127.0.0.1",
            port: externalAddress ? 22 : gcp.tunnelPorts.ssh,
            ...login(first),
        };
        this.apiEndpoint = externalAddress
            ? pulumi.interpolate`${externalAddress}:${apiPort}`
            : pulumi.output(`127.0.0.1:${gcp.tunnelPorts.api}`);
        this.controlPlane = describe("control-plane", first, pulumi.secret(pulumi.output(entry)));
        this.workers = settings.workers.map((worker) => {
            const made = machine(worker, "worker", zoneOf(worker, zones));
            const connection = { host: made.address, port: 22, ...login(made), proxy: entry };
            return describe(worker, made, pulumi.secret(pulumi.output(connection)));
        });
        this.registerOutputs({});
    }
}

function describe(name: string, made: GcpMachine, connection: Machine["connection"]): Machine {
    return {
        name,
        address: made.address,
        connection,
        identity: made.instance.instanceId,
        resource: made.instance,
        shell: "sudo -n bash",
    };
}

function keyCommand(stack: string, verb: "create" | "remove"): string {
    return `STACK_DIR="$PWD/.local/${stack}" bash scripts/local/key.sh ${verb}`;
}

/** The public half of an OpenSSH private key, as a line of authorized_keys. */
export function publicKey(privateKey: string): string {
    const key = utils.parseKey(privateKey);
    if (key instanceof Error) {
        throw new Error(`the stack's SSH key cannot be read (${key.message}); make a new one: remove .local/<stack>`);
    }
    return `${key.type} ${key.getPublicSSH().toString("base64")} ${machineUser}`;
}

/**
 * First part of the names of a stack's resources in the project, at most 22 characters: a service account's name may have
 * 30, a machine's 63, of which a worker's own name takes up to 40.
 */
export function resourcePrefix(stack: string): string {
    const slug = stack
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, "-")
        .replace(/^-|-$/g, "");
    if (slug === stack && slug.length <= 12) {
        return `sandboxes-${slug}`;
    }
    // Names that were shortened alike stay different.
    const hash = crypto.createHash("sha256").update(stack).digest("hex").slice(0, 4);
    return `sandboxes-${slug.slice(0, 7).replace(/-$/, "")}-${hash}`;
}
