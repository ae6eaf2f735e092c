// Whether the verdicts fit the facts beside them: a verdict is believed only where it can be drawn again.
import { stateOf } from "../../components/attacks.cjs";
import evidence from "../../components/evidence.cjs";
import { contradiction } from "../../components/reachable.cjs";
import type { Outputs } from "../../schema/outputs.ts";
import { show } from "./schema.ts";

const { checks: needed, optionalChecks, endsOf, isGvisorLog, mentionsGvisor } = evidence;

type Of<Key extends "uname" | "dmesg" | "isolation" | "workers" | "attacks" | "reachable"> = NonNullable<
    Outputs[Key]
>[string];
type Verdict = Of<"isolation">;

/** A contradiction. */
interface Contradiction {
    readonly worker: string;
    readonly message: string;
}

function verdictContradictions(name: string, { proven, checks }: Verdict): string[] {
    const path = `isolation.${name}`;
    const failed = checks.filter(({ passed }) => !passed);
    if (proven) {
        const names = new Set(checks.map((check) => check.name));
        return [
            ...failed.map(
                (check) =>
                    `${path}.proven is true although its check "${check.name}" has not passed: ${show(check.detail)}`,
            ),
            ...Object.values(needed)
                .filter((one) => !names.has(one))
                .map((one) => `${path}.proven is true although its check "${one}" is not among the checks`),
        ];
    }
    return failed.length === 0 ? [`${path}.proven is false although all of its checks have passed`] : [];
}

function kernelContradictions(name: string, uname: Of<"uname">, dmesg: Of<"dmesg">): string[] {
    const found: string[] = [];
    const but = `although isolation.${name} says proven`;
    if (uname["test-1"] !== uname.worker) {
        found.push(
            `uname.${name}.test-1 is ${show(uname["test-1"])}, not the worker's own kernel ${show(uname.worker)}, ${but}`,
        );
    }
    if (uname["test-2"] === uname.worker) {
        found.push(`uname.${name}.test-2 is ${show(uname["test-2"])}, the worker's own kernel, ${but}`);
    }
    if (!isGvisorLog(dmesg["test-2"])) {
        found.push(
            `dmesg.${name}.test-2 is ${show(endsOf(dmesg["test-2"]))}, not gVisor's log from "Starting gVisor..." to "Ready!", ${but}`,
        );
    }
    if (mentionsGvisor(dmesg["test-1"])) {
        found.push(`dmesg.${name}.test-1 is ${show(endsOf(dmesg["test-1"]))}, gVisor's log, ${but}`);
    }
    return found;
}

/** Attempts that do not fit to the verdict, or to what was seen of them. Outputs of a stack that made none have neither. */
function attackContradictions(name: string, { checks }: Verdict, attempts: Of<"attacks"> = []): string[] {
    const check = checks.find((one) => one.name === optionalChecks.attacks);
    const but = `although isolation.${name} says proven`;
    if (attempts.length === 0) {
        return check === undefined
            ? []
            : [`attacks.${name} has no attempts, although isolation.${name} has their check`];
    }
    const through = attempts.filter(({ state }) => state === "reached").map((one) => one.name);
    const other = attempts
        .filter(({ state, control, inside }) => control !== undefined && stateOf({ control, inside }) !== state)
        .map((one) => one.name);
    return [
        ...(other.length > 0 ? [`attacks.${name} says of ${other.join(", ")} another state than what was seen`] : []),
        ...(through.length > 0 ? [`attacks.${name} has ${through.join(", ")} as reached, ${but}`] : []),
        ...(check === undefined
            ? [`attacks.${name} is there without the check "${optionalChecks.attacks}", ${but}`]
            : []),
    ];
}

/** What pods reach, where that does not fit to the check of the policies. */
function reachableContradictions(name: string, { checks }: Verdict, found: Of<"reachable"> = {}): string[] {
    const check = checks.find((one) => one.name === optionalChecks.egress);
    const hasPolicies = Object.values(found)
        .flat()
        .some(({ allowed }) => allowed !== undefined);
    if (!hasPolicies) {
        return check === undefined
            ? []
            : [`reachable.${name} has no policies, although isolation.${name} has their check`];
    }
    const but = `although isolation.${name} says proven`;
    const against = contradiction(found);
    return [
        ...(check === undefined
            ? [`reachable.${name} has policies without the check "${optionalChecks.egress}", ${but}`]
            : []),
        ...(against === undefined ? [] : [`reachable.${name}: ${against}, ${but}`]),
    ];
}

/** Handlers of containerd that a worker's test-2 can run behind. */
function handlersOf({ evidence: own }: Of<"workers">, { handlers = {}, runtimeClass }: Outputs): readonly string[] {
    if (own) {
        return own.declared.handlers;
    }
    // A program without the output `handlers` has one, under the name that gVisor's own guides give it.
    const [handler = "runsc"] = Object.entries(handlers).find(([, name]) => name === runtimeClass) ?? [];
    return [handler];
}

function workerContradictions(name: string, worker: Of<"workers">, outputs: Outputs): string[] {
    const path = `workers.${name}`;
    const found = handlersOf(worker, outputs)
        .filter((handler) => !worker.handlers.includes(handler))
        .map(
            (handler) =>
                `${path}.handlers is ${show(worker.handlers)}, without the handler "${handler}" that test-2 runs behind, ` +
                `although isolation.${name} says proven`,
        );
    if (worker.evidence === undefined) {
        return found;
    }
    const { declared, ...levels } = worker.evidence;
    if (declared.sha256 !== worker.configSha256) {
        found.push(
            `${path}.evidence.declared.sha256 is ${show(declared.sha256)}, ` +
                `but ${path}.configSha256 is ${show(worker.configSha256)}`,
        );
    }
    for (const level of ["loaded", "serving"] as const) {
        if (levels[level].length === 0 || levels[level].some((handler) => !declared.handlers.includes(handler))) {
            found.push(
                `${path}.evidence.${level} is ${show(levels[level])}, declared is ${show(declared.handlers)}, ` +
                    `although isolation.${name} says proven`,
            );
        }
    }
    return found;
}

/** Where valid outputs contradict themselves: all of it, as sentences that name the worker and the value. */
export function contradictions(outputs: Outputs): Contradiction[] {
    return Object.entries(outputs.isolation).flatMap(([name, verdict]) => {
        const [uname, dmesg, worker] = [outputs.uname[name], outputs.dmesg[name], outputs.workers[name]];
        const isWhole = verdict.proven && uname && dmesg && worker;
        return [
            ...verdictContradictions(name, verdict),
            ...(isWhole ? kernelContradictions(name, uname, dmesg) : []),
            ...(isWhole ? workerContradictions(name, worker, outputs) : []),
            ...(isWhole ? attackContradictions(name, verdict, outputs.attacks?.[name]) : []),
            ...(isWhole ? reachableContradictions(name, verdict, outputs.reachable?.[name]) : []),
        ].map((message) => ({ worker: name, message }));
    });
}

/** Facts of one worker that were seen at different times, or of which one was changed. */
export function mismatches({ workers, uname }: Outputs): Contradiction[] {
    return Object.entries(workers).flatMap(([name, { kernel }]) => {
        const seen = uname[name]?.worker;
        const message = `workers.${name}.kernel is ${show(kernel)}, but uname.${name}.worker is ${show(seen)}`;
        return kernel === seen ? [] : { worker: name, message };
    });
}
