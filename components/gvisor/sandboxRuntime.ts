import type { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { contentHash } from "../contentHash";
import type { Handler, Machine, RestartLook, Sources } from "../contracts";
import { project } from "../names";
import { documentOf, remoteStep, resultOf } from "../remoteStep";
import { runtimeLibraries } from "../runtimeScripts";
import { aptValues } from "../sourceValues";
import { linesOf, type Vulnerability, vulnerabilitiesIn } from "../vulnerabilities.cjs";
import type { Examination } from "./examination";
import type { NodeFacts } from "./facts";
import { installPlan } from "./installPlan";

const installer = "gvisor/install.sh";

/** What a worker has, as scripts/on-machine/gvisor/install.sh prints it. */
export interface RuntimeEvidence {
    /** Name of the operating system, for example "Debian GNU/Linux 12 (bookworm)". */
    readonly os: string;
    /** `uname -r` of the machine. */
    readonly kernel: string;
    readonly containerd: string;
    readonly runsc: string;
    /** Runtime handlers that containerd has loaded. */
    readonly handlers: readonly string[];
    /** SHA-256 over all that is configured for the handlers, as it is on disk. */
    readonly configSha256: string;
    /** NAMESPACE/NAME of pods whose sandbox still runs a gVisor that has been replaced since. */
    readonly survivors: readonly string[];
}

/** A release of gVisor as an archive, for machines without APT. */
export interface Archive {
    readonly url: string;
    /** 128 hexadecimal digits. */
    readonly sha512: string;
}

export interface SandboxRuntimeArgs {
    readonly machine: Machine;
    readonly sources: pulumi.Output<Sources>;
    /** The ways to run sandboxes here. */
    readonly handlers: readonly Handler[];
    /** Release of gVisor, for example "20261116.0"; empty takes the one that `sources` pins. */
    readonly release: string;
    /** Ids of vulnerabilities of gVisor that are no reason to refuse it; of others, none to warn. */
    readonly accepted?: readonly string[];
    /** Where gVisor comes from instead of the APT repository of `sources`. */
    readonly archive?: Archive;
    /** What containerd was made to be, in any words: another value is another containerd, to be looked at. */
    readonly prepared?: pulumi.Output<string>;
    /** After this the machine has containerd, and may be looked at. */
    readonly after: readonly pulumi.Resource[];
    /** After this it may be changed, too. */
    readonly turn?: readonly pulumi.Resource[];
    /** What it is examined with before; undefined where it is changed as soon as it has been looked at. */
    readonly examination?: Examination;
    /** What drains it before its containerd is restarted; without it, its pods have to outlive a restart. */
    readonly beforeRestart?: (look: pulumi.Output<RestartLook>) => readonly pulumi.Resource[];
}

/**
 * gVisor on one machine: what is there is looked at first and refused where gVisor cannot work; then its programs of one
 * release, its handlers beside what containerd has, at most one restart, and evidence read back from the machine. Taken
 * away again where the machine stays.
 */
export class SandboxRuntime extends pulumi.ComponentResource {
    /** What the machine was like before anything was changed (secret: the files may hold a password). */
    public readonly facts: pulumi.Output<NodeFacts>;
    public readonly evidence: pulumi.Output<RuntimeEvidence>;
    /** What is known against the worker's versions, and against flags of its handlers. */
    public readonly vulnerabilities: pulumi.Output<Vulnerability[]>;
    /** After this containerd serves the handlers. */
    public readonly installed: remote.Command;

    constructor(name: string, args: SandboxRuntimeArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:sandbox:SandboxRuntime`, name, {}, opts);
        const {
            machine,
            sources,
            handlers,
            release,
            archive,
            prepared = "",
            after,
            turn = [],
            examination,
            beforeRestart,
            accepted = [],
        } = args;
        const inspection = remoteStep(
            `${name}-facts`,
            {
                machine,
                library: ["gvisor/node.sh", "gvisor/containerd.sh"],
                script: "gvisor/facts.sh",
                values: { PREPARED: prepared },
                secretOutput: true,
                timeout: 60,
            },
            // What is looked at is a containerd that is there.
            { parent: this, dependsOn: [...after, ...(examination ? [] : turn)] },
        );
        this.facts = documentOf<NodeFacts>(inspection);

        this.facts.apply((facts) => {
            const found = vulnerabilitiesIn(versionsIn(facts)).filter(({ id }) => !accepted.includes(id));
            if (found.length > 0) {
                pulumi.log.warn(warning(machine.name, found), this);
            }
        });

        const version =
            release === "" ? sources.apply(({ packages }) => packages.runsc ?? "*") : pulumi.output(release);
        // What is planned holds nothing of the files that were read.
        const own = pulumi.unsecret(
            pulumi.all([this.facts, version]).apply(([facts, chosen]) =>
                installPlan(machine.name, facts, {
                    handlers,
                    release: chosen,
                    install: archive ? "archive" : "apt",
                    accepted,
                    drained: beforeRestart !== undefined,
                }),
            ),
        );
        const plan = examination ? examination.hold(own) : own;
        const step = {
            machine,
            library: runtimeLibraries,
            values: {
                NODE: machine.name,
                HANDLERS: handlers.map((handler) => handler.name).join("\n"),
                FILES: plan.files,
                ROOT_HEAD: plan.head,
                ROOT_TAIL: plan.tail,
                BASIS: plan.basis,
                RUNSC_VERSION: version,
                ...(archive
                    ? { METHOD: "archive", ARCHIVE_URL: archive.url, ARCHIVE_SHA512: archive.sha512.toLowerCase() }
                    : { METHOD: "apt", ...aptValues(sources, "gvisor") }),
                // A drain has to know the restarts that are about to happen, not those of an earlier look.
                DRAINED: beforeRestart === undefined ? "no" : "yes",
            },
        };
        // What it finds is an input of the step that repairs it: looked at again, that runs again.
        const look = remoteStep(
            `${name}-look`,
            {
                ...step,
                script: "gvisor/inspect.sh",
                verb: "inspect",
                // Another one may restart containerd where this one has not.
                values: { ...step.values, INSTALLER: contentHash(`scripts/on-machine/${installer}`) },
                timeout: 60,
            },
            { parent: this, dependsOn: [...after, ...turn] },
        );
        this.installed = remoteStep(
            `${name}-install`,
            {
                ...step,
                script: installer,
                values: { ...step.values, LOOK: resultOf(look) },
                removable: "/var/lib/runtime-sandboxes",
                // A plan that changes this restarts containerd.
                note: pulumi.interpolate`containerd configuration ${plan.restart}`,
            },
            { parent: this, dependsOn: [...(beforeRestart?.(documentOf<RestartLook>(look)) ?? [])] },
        );
        this.evidence = documentOf<RuntimeEvidence>(this.installed);
        const options = handlers.map((handler) => handler.options);
        this.vulnerabilities = pulumi
            .all([pulumi.unsecret(this.facts), this.evidence])
            .apply(([facts, { containerd, runsc }]) =>
                vulnerabilitiesIn({ ...versionsIn(facts), containerd, gvisor: runsc }, { options, accepted }),
            );
        this.registerOutputs({});
    }
}

/** What a worker has beside gVisor, by component. */
const versionsIn = ({ containerd, runc, kubelet }: NodeFacts) => ({
    containerd: containerd.version,
    runc,
    kubernetes: kubelet,
});

function warning(machine: string, found: readonly Vulnerability[]): string {
    return (
        `${machine} has known vulnerabilities: ${linesOf(found).join("; ")}. A distribution may have fixed them without ` +
        `a new version number; otherwise upgrade, or name the ids in acceptVulnerabilities`
    );
}
