import type { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { aptValues } from "../cluster/node";
import { handler, project } from "../names";
import { remoteStep } from "../remoteStep";
import type { Machine, Sources } from "../targets/target";

/** What a worker has, as scripts/sandbox/install-runtime.sh prints it. */
export interface RuntimeEvidence {
    /** Name of the operating system, for example "Debian GNU/Linux 12 (bookworm)". */
    readonly os: string;
    /** `uname -r` of the machine. */
    readonly kernel: string;
    readonly containerd: string;
    readonly runsc: string;
    /** Runtime handlers that containerd has loaded. */
    readonly handlers: readonly string[];
    /** SHA-256 over the drop-in and the options of the handler, as they are on disk. */
    readonly configSha256: string;
}

export interface SandboxRuntimeArgs {
    readonly machine: Machine;
    readonly sources: pulumi.Output<Sources>;
    /** How gVisor intercepts system calls: https://gvisor.dev/docs/user_guide/platforms/ */
    readonly platform: "systrap" | "kvm";
    /** After this the machine has containerd. */
    readonly after: readonly pulumi.Resource[];
}

/**
 * gVisor on one machine: the pinned package, its handler beside what containerd has, one restart only on change, and
 * evidence read back from the machine. Nothing else of containerd's configuration is touched.
 */
export class SandboxRuntime extends pulumi.ComponentResource {
    public readonly evidence: pulumi.Output<RuntimeEvidence>;
    /** After this containerd serves the handler. */
    public readonly installed: remote.Command;

    constructor(name: string, args: SandboxRuntimeArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:sandbox:SandboxRuntime`, name, {}, opts);
        const { machine, sources, platform, after } = args;
        this.installed = remoteStep(
            `${name}-install`,
            {
                machine,
                script: "sandbox/install-runtime.sh",
                values: {
                    HANDLER: handler,
                    PLATFORM: platform,
                    RUNSC_VERSION: sources.apply((all) => all.packages.runsc ?? "*"),
                    ...aptValues(sources, "gvisor"),
                },
            },
            // The handler is added to a containerd that is there.
            { parent: this, dependsOn: [...after] },
        );
        this.evidence = this.installed.stdout.apply((text) => JSON.parse(text) as RuntimeEvidence);
        this.registerOutputs({});
    }
}
