import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { commandDirectory } from "../checkout";
import { contentHash } from "../contentHash";
import { optionsInFile } from "../evidence.cjs";
import { project } from "../names";
import { renderCall, stepCall } from "../remoteStep";
import type { Handler } from "../sandbox/handlers";
import type { Machine } from "../targets/target";

export interface CanaryArgs {
    readonly machine: Machine;
    /** The worker's handlers, with the RuntimeClass of each once it is there. */
    readonly handlers: readonly (Omit<Handler, "runtimeClass"> & { readonly runtimeClass: pulumi.Output<string> })[];
    /** Default: "default". */
    readonly namespace?: string;
    readonly image: pulumi.Input<string>;
    /** Kubeconfig (secret) of somebody who may make pods. */
    readonly kubeconfig: pulumi.Output<string>;
    /** What has changed on the worker, in any words: another value is another canary. */
    readonly changes: pulumi.Input<string>;
    /** After this the node takes sandboxed pods. */
    readonly after: readonly pulumi.Resource[];
}

const script = "scripts/probe/canary.mjs";
const limit = 60;

/**
 * Shows that a new pod of each class starts in its sandbox on a worker: short-lived pods, looked at by the worker's own
 * evidence. Fails where one does not, and so do the updates after that until it does.
 */
export class Canary extends pulumi.ComponentResource {
    /** Classes whose pods have started. */
    public readonly classes: pulumi.Output<string[]>;
    /** After this they have. */
    public readonly started: command.local.Command;

    constructor(name: string, args: CanaryArgs, opts?: pulumi.ComponentResourceOptions) {
        super(`${project}:probe:Canary`, name, {}, opts);
        const { machine, handlers, namespace = "default", image, kubeconfig, changes, after } = args;
        const files = [
            "scripts/cli/machines.mjs",
            "scripts/cluster/api.mjs",
            "components/evidence.cjs",
            "components/stepResult.cjs",
        ];
        const values = {
            OPTIONS: [...new Set(handlers.flatMap((handler) => Object.keys(optionsInFile(handler))))].join("\n"),
        };
        this.started = new command.local.Command(
            `${name}-pods`,
            {
                create: `node ${script} start # ${contentHash(script, ...files)}`,
                delete: `node ${script} clear`,
                dir: commandDirectory,
                stdin: pulumi.secret(
                    pulumi.jsonStringify({
                        kubeconfig,
                        node: machine.name,
                        namespace,
                        image,
                        classes: handlers,
                        connection: machine.connection,
                        call: stepCall(machine.shell, limit, "install"),
                        script: pulumi
                            .output(machine.identity)
                            .apply((identity) =>
                                renderCall(machine, ["sandbox/node.sh", "probe/host-facts.sh"], identity, values),
                            ),
                        changes,
                    }),
                ),
                addPreviousOutputInEnv: false,
                logging: command.local.Logging.Stderr,
            },
            {
                parent: this,
                dependsOn: [...after],
                customTimeouts: { create: "5m", update: "5m", delete: "2m" },
                deletedWith: machine.resource,
            },
        );
        this.classes = this.started.stdout.apply((text) => Object.keys(JSON.parse(text) as object));
        this.registerOutputs({});
    }
}
