// @ts-nocheck
// The state of a stack, in clear and in memory only.
import { Failure } from "./failure.ts";
import { askPulumi } from "./run.ts";

const plain = (value) => {
    if (Array.isArray(value)) {
        return value.map(plain);
    }
    if (typeof value !== "object" || value === null) {
        return value;
    }
    // A secret: https://www.pulumi.com/docs/iac/concepts/state-and-backends/ (signature 4dabf18193072939515e22adb298388d)
    if ("plaintext" in value && Object.keys(value).some((key) => key === "4dabf18193072939515e22adb298388d")) {
        return plain(JSON.parse(value.plaintext));
    }
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
};

/**
 * The resources of a stack by name, with secrets in clear: never to be printed or written. The state holds them in the order
 * in which they came to an end, which is another one each time.
 *
 * @returns [{ urn, name, type, inputs, outputs }]
 */
export async function resourcesOf(stack, pulumi) {
    const exported = await exportState(stack, pulumi, ["--show-secrets"]);
    return (exported.deployment.resources ?? [])
        .map(({ urn, type, inputs, outputs, delete: leaving }) => ({
            urn,
            name: urn.split("::").pop(),
            type,
            leaving: leaving === true,
            inputs: plain(inputs ?? {}),
            outputs: plain(outputs ?? {}),
        }))
        .sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

/** `pulumi stack export`, parsed. */
export async function exportState(stack, pulumi, flags = []) {
    const args = ["stack", "export", "--stack", stack, ...flags];
    const { code, stdout, stderr } = await askPulumi(pulumi, args);
    if (code !== 0) {
        throw new Failure(`the state of stack ${stack} cannot be read: ${stderr.trim().split("\n").pop()}`);
    }
    return JSON.parse(stdout);
}

/** How each machine is reached, by the step of the last update that brought its scripts. @returns [{ name, connection, shell }] */
export function recordedMachines(resources) {
    return resources
        .filter(({ name, leaving, inputs }) => !leaving && name.endsWith("-scripts") && / bring /.test(inputs.create))
        .map(({ name, inputs }) => {
            const { connection, shell } = JSON.parse(inputs.stdin);
            return { name: name.replace(/-scripts$/, ""), connection, shell };
        });
}

/** How the last update has started canary pods, by worker. @returns [{ worker, stdin }]: what scripts/on-host/canary.ts takes */
export function recordedCanaries(resources) {
    return resources.flatMap(({ name, leaving, inputs }) => {
        const [, worker] = /^(.+)-canary-pods$/.exec(name) ?? [];
        return worker === undefined || leaving ? [] : { worker, stdin: inputs.stdin };
    });
}
