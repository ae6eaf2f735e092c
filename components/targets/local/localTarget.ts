import * as fs from "node:fs";
import * as path from "node:path";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { checkout, commandDirectory } from "../../checkout";
import { contentHash } from "../../contentHash";
import type { Machine, Sources, Target } from "../../contracts";
import { project } from "../../names";
import { renderStep } from "../../remoteStep";
import { preparationValues } from "../../sourceValues";
import { shellQuote } from "../../step.cjs";
import type { SourceSettings } from "../upstream";
import { bootId, firstHost, hostNumbers, incarnation } from "./machineState";

/** Settings that this target looks at. */
export interface LocalSettings extends Required<SourceSettings> {
    readonly workers: readonly string[];
    /** Name of the network bridge, and the machines' /24 range. */
    readonly bridge: string;
    readonly addressRange: string;
    /** "auto" is upstream where it can be reached, else a mirror that is built on this host. */
    readonly sources: "auto" | Sources["kind"];
    /** Where gVisor comes from instead of a package; empty where it does not. */
    readonly gvisorArchive: string;
}

export interface LocalTargetArgs {
    readonly settings: LocalSettings;
    /** Stack name: the machines' files are kept in .local/<stack>. */
    readonly stack: string;
}

/** What scripts/local/machine.sh prints. */
interface MachineDocument {
    readonly address: string;
    readonly port: number;
    readonly user: string;
    readonly hostKey: string;
    readonly identity: string;
}

/**
 * Machines on this host: systemd-nspawn containers with a real systemd and sshd on a bridge of their own, made and
 * removed by scripts/local. The host keys are made with the machines and pinned from then on.
 */
export class LocalTarget extends pulumi.ComponentResource implements Target {
    public readonly controlPlane: Machine;
    public readonly workers: readonly Machine[];
    public readonly sources: pulumi.Output<Sources>;
    public readonly gvisorSources: pulumi.Output<Sources>;
    public readonly sourcesKind: Sources["kind"] | undefined;
    public readonly kubernetesVersion: string;

    constructor(name: string, args: LocalTargetArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:target:Local`, name, {}, opts);
        const { settings, stack } = args;
        this.kubernetesVersion = settings.kubernetesVersion;
        this.sourcesKind = sourcesKind(settings);
        const files = `.local/${stack}`;
        // Else removing what is replaced would take its successor, which has the same name, with it.
        const child = { parent: this, deleteBeforeReplace: true };

        const run = (script: string, verb: string) =>
            [
                `STACK_DIR="$PWD/${files}"`,
                `CACHE_DIR="$PWD/.cache"`,
                `MIRROR_DIR="$PWD/.cache/mirror"`,
                `BRIDGE=${settings.bridge}`,
                `RANGE=${settings.addressRange}`,
                `bash scripts/local/${script} ${verb}`,
            ].join(" ");
        const quiet = { dir: commandDirectory, addPreviousOutputInEnv: false, logging: command.local.Logging.Stderr };

        const askForSources = (what: string, gvisorVersion: string, after: pulumi.Resource[]) =>
            new command.local.Command(
                `${name}-${what}`,
                {
                    create:
                        `${sourcesCommand({ ...settings, gvisorVersion })} ` +
                        `# recipe ${contentHash("mirror", "components/sources.cjs", "versions.json")}`,
                    ...quiet,
                },
                { ...child, dependsOn: after },
            );
        const parsed = (asked: command.local.Command) => asked.stdout.apply((text) => JSON.parse(text) as Sources);
        const sources = askForSources("sources", "", []);
        this.sources = parsed(sources);
        // Asked for by itself: then a plan of another gVisor shows no more than what that changes. One build at a time.
        // An archive needs none.
        const gvisor =
            settings.gvisorVersion === "" || settings.gvisorArchive !== ""
                ? sources
                : askForSources("gvisor", settings.gvisorVersion, [sources]);
        this.gvisorSources = parsed(gvisor);

        const network = new command.local.Command(
            `${name}-network`,
            // The bridge does not outlive a reboot of the host: the boot's id makes the next update bring it back.
            { create: `${run("network.sh", "up")} # boot ${bootId()}`, delete: run("network.sh", "down"), ...quiet },
            child,
        );
        const key = new command.local.Command(
            `${name}-key`,
            {
                ...quiet,
                create: run("key.sh", "create"),
                delete: run("key.sh", "remove"),
                logging: command.local.Logging.None,
            },
            { ...child, additionalSecretOutputs: ["stdout"] },
        );

        // The very step that prepares nodes, with the images of both roles; no stack is named, so all share what it makes.
        const step = pulumi.output(preparationValues(this.sources, ["control-plane", "worker"])).apply((values) => {
            const own = { OWNER: "node image", ROLE: "worker", KUBERNETES_ASKED: "", HOSTS: "" };
            return renderStep("node/prepare-node.sh", "node-image", { ...own, ...values });
        });
        const image = new command.local.Command(
            `${name}-image`,
            {
                create: `${run("image.sh", "build")} # recipe ${contentHash("scripts/local")}`,
                delete: run("image.sh", "forget"),
                stdin: step,
                ...quiet,
            },
            // It is made in a machine as all others are.
            { ...child, dependsOn: [network, key, sources], aliases: [{ name: `${name}-base` }] },
        );

        const prefix = settings.addressRange.replace(/0\/24$/, "");
        const machine = (machineName: string, host: number): Machine => {
            const start = incarnation(path.join(checkout, files), machineName);
            const resource = new command.local.Command(
                `${name}-machine-${machineName}`,
                {
                    create: run("machine.sh", `up ${machineName} ${prefix}${host} --incarnation ${start}`),
                    delete: run("machine.sh", `down ${machineName}`),
                    ...quiet,
                },
                // A machine is made from the node image, hangs on the bridge, lets the key in and mounts the mirror.
                { ...child, dependsOn: [image, network, key, sources, gvisor] },
            );
            const document = resource.stdout.apply((text) => JSON.parse(text) as MachineDocument);
            return {
                name: machineName,
                address: document.address,
                // A machine that was started again is looked at again: its steps run, and change nothing.
                identity: pulumi.interpolate`${document.identity} ${start}`,
                connection: pulumi.secret(
                    pulumi.all([document, key.stdout]).apply(([made, privateKey]) => ({
                        host: made.address,
                        port: made.port,
                        user: made.user,
                        hostKey: made.hostKey,
                        privateKey,
                        dialErrorLimit: 10,
                        perDialTimeout: 5,
                    })),
                ),
                resource,
                process: `${files}/machines/${machineName}/process.json`,
            };
        };
        this.controlPlane = machine("control-plane", firstHost);
        const hosts = hostNumbers(path.join(checkout, files), settings.workers);
        this.workers = settings.workers.map((worker) => machine(worker, hosts.get(worker) ?? firstHost));
        this.registerOutputs({});
    }
}

/** What mirror/sources.sh decides, or has decided; undefined where nobody has asked it yet. */
function sourcesKind({ mirror, sources }: LocalSettings): Sources["kind"] | undefined {
    const cache = (name: string) => path.join(checkout, ".cache", name);
    if (mirror !== "" || sources !== "auto") {
        return sources === "upstream" ? sources : "mirror";
    }
    if (fs.existsSync(cache("mirror/index.json"))) {
        return "mirror";
    }
    const decided = cache("sources-kind");
    return fs.existsSync(decided) ? (fs.readFileSync(decided, "utf8").trim() as Sources["kind"]) : undefined;
}

/** The command that prints the sources; it builds the mirror first where there is none. */
function sourcesCommand(settings: LocalSettings): string {
    const flags = [`--kind ${settings.sources}`];
    if (settings.mirror !== "") {
        flags.push(
            `--base-url ${shellQuote(settings.mirror)}`,
            `--fingerprint ${settings.mirrorFingerprint.toUpperCase()}`,
        );
    }
    for (const [flag, value] of Object.entries({
        "--kubernetes": settings.kubernetesVersion,
        "--containerd": settings.containerdVersion,
        "--gvisor": settings.gvisorVersion,
    })) {
        if (value !== "") {
            flags.push(`${flag} ${value}`);
        }
    }
    return `MIRROR_DIR="$PWD/.cache/mirror" bash mirror/mirror.sh sources ${flags.join(" ")}`;
}
