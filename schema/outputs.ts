// The contract of the outputs: what a stack exports, and what `check` holds it against. outputs.v1.schema.json beside it is made
// from this, with UPDATE_SNAPSHOTS=1, by test/unit/outputs.spec.ts.
import { z } from "zod";
import { byName, count, kernel, objectName, text } from "./forms.ts";
import { worker } from "./worker.ts";

const about = {
    $id: "urn:runtime-sandboxes:outputs:v1",
    $comment:
        "Version 1.3.1. The first number is that of the file's name and of $id: it changes when an output is removed, renamed or means something else. The second changes when an output is added, the third when only a text does. What is not described here is allowed: a program may have further outputs.",
    title: "Stack outputs of runtime-sandboxes, version 1",
    description:
        "What `pulumi stack output --json` prints. By-worker outputs have one entry for each worker, under the name of its node, and name the same workers.",
};

/** What every stack has of each worker, of which there is at least one. */
const byWorker = <T extends z.ZodType>(entry: T) =>
    byName(entry)
        .refine((entries) => Object.keys(entries).length > 0, "no worker")
        .meta({ minProperties: 1 });

const attemptResult = z
    .object({
        reached: z.boolean().describe("Whether the worker was reached."),
        saw: z.string().describe("An error, or what was reached, in a few words."),
    })
    .meta({ id: "attemptResult" });

const attempt = z
    .object({
        name: text.describe("What is tried: a row of the reference's table."),
        state: z
            .enum(["refused", "reached", "proves nothing"])
            .describe(
                '"refused": in all sandboxes, though not on the control. "reached": a sandbox let it through to the worker, or did not say. "proves nothing": the control is refused, too.',
            ),
        control: attemptResult.describe("On the default runtime.").optional(),
        inside: byName(attemptResult).describe("In a sandbox, by RuntimeClass."),
    })
    .meta({ id: "attempt" });

const reached = z
    .object({
        target: z
            .enum(["metadata", "api", "api-token", "kubelet", "kubelet-read-only", "node", "pod", "dns", "allowed"])
            .describe(
                '"metadata": of the cloud. "api", "api-token": the API server, without and with the pod\'s token. "node": the worker\'s own address. "pod": one of another namespace. "allowed": what has to be reached in any case.',
            ),
        address: text.describe("HOST:PORT, with further ports of the same host behind it."),
        namespace: objectName.describe("Of the pod that has tried."),
        reached: z.boolean().describe('Of several ports, whether any was; of "allowed", whether all were.'),
        by: z
            .enum(["target", "worker", "pod"])
            .describe(
                "Who says so: a listener of ours at the target, the worker's table of connections, or nobody but the pod, which counts in no verdict.",
            ),
        detail: z.string().describe("An answer or an error, in the pod's words."),
        control: z
            .boolean()
            .describe("Whether a pod of the default runtime, where no policy of the stack holds, reaches it."),
        allowed: z.boolean().describe("Whether the policies let it through; missing where there are none.").optional(),
    })
    .meta({ id: "reached" });

const limits = z
    .object({
        memory: z
            .object({
                limitMiB: count.optional(),
                outcome: text.describe('How it ended, for example "OOMKilled".'),
                passed: z.boolean(),
            })
            .describe("A sandboxed process that takes more than its memory limit.")
            .optional(),
        cpu: z
            .object({ limitMillicores: count.optional(), usedMillicores: count.optional(), passed: z.boolean() })
            .describe("A sandboxed busy loop, measured on the worker.")
            .optional(),
        overhead: z
            .object({ memoryMiB: count.optional(), cpuMillicores: count.optional() })
            .describe("What the sandbox takes beside its containers.")
            .optional(),
    })
    .meta({ id: "limits" });

const systemCalls = z
    .object({
        filter: text.describe('"none", "2 with 517 instructions", or "unreadable: REASON": then there are no numbers.'),
        reachable: count.describe("Those that the filters let through, at least with some arguments.").optional(),
        of: count.describe("Those that Linux numbers on the worker's architecture.").optional(),
        how: text.describe("How it was found out."),
    })
    .meta({ id: "systemCalls" });

const cost = z
    .object({
        inside: count.describe("In the sandbox.").optional(),
        control: count.describe("On the default runtime, in the same minute.").optional(),
        ratio: count
            .describe(
                "How many times as much it costs in the sandbox; of what more is better (MiB/s), how many times less there is.",
            )
            .optional(),
        unit: text.describe("Of `inside` and `control`."),
        how: text.describe("How it was measured."),
        failed: text.describe("Why it was not; then there are no numbers.").optional(),
    })
    .meta({ id: "cost" });

const surface = z
    .object({
        systemCalls: z
            .object({
                inside: systemCalls.describe("What the sandbox's Sentry reaches of the host's kernel."),
                control: systemCalls.describe("What the process of an ordinary pod reaches on the default runtime."),
                runtimeDefault: systemCalls
                    .describe("The same of a pod that asks for the seccomp profile RuntimeDefault.")
                    .optional(),
            })
            .describe(
                "How many of the kernel's system calls a process reaches, by the seccomp filters that it runs under.",
            ),
        costs: z.record(z.string(), cost).describe("What was measured on both sides, by name."),
    })
    .meta({ id: "surface" });

export const outputs = z
    .object({
        runtimeClass: objectName.describe("Name of the RuntimeClass that puts a pod behind gVisor."),
        uname: byWorker(
            z.object({
                worker: kernel.describe("Seen by the worker itself."),
                "test-1": kernel.describe("Seen in the pod on the default runtime."),
                "test-2": kernel.describe("Seen in the pod on the RuntimeClass."),
            }),
        ).describe("By worker: the kernel (`uname -r`) that the worker itself and its two test pods see."),
        dmesg: byWorker(z.object({ "test-1": z.string(), "test-2": z.string() })).describe(
            "By worker: what `dmesg` prints in its two test pods, without the middle of a long log, or the kernel's refusal.",
        ),
        isolation: byWorker(
            z.object({
                proven: z.boolean().describe("Whether all checks passed."),
                checks: z
                    .array(
                        z.object({
                            name: z.string().min(1),
                            passed: z.boolean(),
                            detail: z.string().describe("What was seen, in a few words."),
                        }),
                    )
                    .min(1),
            }),
        ).describe("By worker: whether its sandbox is proven, and each check with what was seen."),
        workers: byWorker(worker).describe(
            "By worker: address and versions, what was found there, and evidence at three levels.",
        ),
        kubeconfig: z
            .string()
            .min(1)
            .describe('Administrator\'s kubeconfig of the cluster; a secret, which Pulumi prints as "[secret]".'),
        handlers: byName(objectName).describe("RuntimeClass by runtime handler.").optional(),
        limits: byName(limits)
            .describe("By worker: whether limits on a sandboxed pod bind, and what the sandbox itself takes.")
            .optional(),
        attacks: byName(z.array(attempt))
            .describe(
                "By worker, where they were made: attempts to leave its sandboxes, each in a pod of each class and in a control pod of the default runtime.",
            )
            .optional(),
        surface: byName(byName(surface))
            .describe(
                "By worker, where it was measured: by RuntimeClass, how much of the kernel a process reaches in a sandbox and outside, and what the sandbox costs.",
            )
            .optional(),
        reachable: byName(byName(z.array(reached)))
            .describe("By worker and RuntimeClass, where it was tried: what pods reach over the network.")
            .optional(),
    })
    .meta(about);

type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T;

/** What a stack exports, as `pulumi stack output --json` prints it. */
export type Outputs = Frozen<z.infer<typeof outputs>>;

/** What is alike in all outputs by worker; in the JSON Schema it stands once. */
const anyWorkers = { type: "object", minProperties: 1, propertyNames: { $ref: "#/$defs/objectName" } };

/** The JSON Schema that is published. */
export function jsonSchema(): object {
    const { $schema, $defs, ...schema } = z.toJSONSchema(outputs, {
        io: "input",
        override({ jsonSchema: one }) {
            // What the rest implies, and the bounds of a whole number in JavaScript, are no part of the contract.
            if (one.enum) delete one.type;
            if (typeof one.propertyNames === "object" && one.propertyNames.type) delete one.propertyNames;
            if (one.type === "integer") {
                delete one.minimum;
                delete one.maximum;
            }
            if (one.minProperties) {
                one.$ref = "#/$defs/byWorker";
                for (const key of Object.keys(anyWorkers)) delete one[key];
            }
        },
    });
    return { $schema, ...about, ...schema, $defs: { ...$defs, byWorker: anyWorkers } };
}
