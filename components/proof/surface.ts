import type * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { project } from "../names";
import { renderCall } from "../remoteStep";
import { stepCall } from "../step.cjs";
import { type ClassSurface, type SurfaceFacts, surfaceOf } from "../surface.cjs";
import { programFiles, type ShortLivedPodsArgs, shortLivedPods } from "./shortLivedPods";

const script = "surface";
/** Longest time that the worker has for an answer, in seconds. */
const limit = 60;

/**
 * Measures on a worker how much of the kernel a process reaches in a sandbox and outside, and what the sandbox costs: in a
 * short-lived pod of each class and in one of the default runtime. Decides nothing. Needs Go where Pulumi runs, to build the
 * program that measures.
 */
export class Surface extends pulumi.ComponentResource {
    /** What was measured, by RuntimeClass. */
    public readonly measured: pulumi.Output<Record<string, ClassSurface>>;
    /** After this the pods are gone again. */
    public readonly made: command.local.Command;

    constructor(name: string, args: ShortLivedPodsArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:probe:Surface`, name, {}, opts);
        const { machine, handlers } = args;
        const scripts = ["gvisor/node.sh", "probe/groups.sh", "probe/surface.sh"];
        const input = {
            classes: handlers.map(({ runtimeClass }) => ({ runtimeClass })),
            call: stepCall(machine.shell, limit, "inspect"),
            script: pulumi.output(machine.identity).apply((identity) => renderCall(machine, scripts, identity, {})),
            process: machine.process,
            // Another flag is another sandbox.
            options: handlers.map(({ options }) => options),
        };
        // The program may have to be built first.
        this.made = shortLivedPods(
            name,
            args,
            [script, ...programFiles, "components/attacks.cjs", "components/surface.cjs"],
            "run",
            input,
            "10m",
            this,
        );
        this.measured = this.made.stdout.apply((text) => surfaceOf(JSON.parse(text) as SurfaceFacts));
        this.registerOutputs({});
    }
}
