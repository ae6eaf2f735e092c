// @ts-nocheck
// Whether the verdicts fit the facts beside them: a verdict is believed only where it can be drawn again.
import { stateOf } from "../../components/attacks.cjs";
import evidence from "../../components/evidence.cjs";
import { show } from "./schema.ts";

const { checks: needed, optionalChecks, endsOf, isGvisorLog, mentionsGvisor } = evidence;

function verdictContradictions(name, { proven, checks }) {
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

function kernelContradictions(name, uname, dmesg) {
    const found = [];
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
function attackContradictions(name, { isolation, attacks }) {
    const attempts = attacks?.[name];
    const check = isolation[name].checks.find((one) => one.name === optionalChecks.attacks);
    const but = `although isolation.${name} says proven`;
    if (attempts === undefined || attempts.length === 0) {
        return check === undefined
            ? []
            : [`attacks.${name} has no attempts, although isolation.${name} has their check`];
    }
    const through = attempts.filter(({ state }) => state === "reached").map((one) => one.name);
    const other = attempts
        .filter((one) => one.control !== undefined && stateOf(one) !== one.state)
        .map((one) => one.name);
    return [
        ...(other.length > 0 ? [`attacks.${name} says of ${other.join(", ")} another state than what was seen`] : []),
        ...(through.length > 0 ? [`attacks.${name} has ${through.join(", ")} as reached, ${but}`] : []),
        ...(check === undefined
            ? [`attacks.${name} is there without the check "${optionalChecks.attacks}", ${but}`]
            : []),
    ];
}

/** Handlers of containerd that a worker's test-2 can run behind. */
function handlersOf(worker, { handlers, runtimeClass }) {
    if (worker.evidence) {
        return worker.evidence.declared.handlers;
    }
    // A program without the output `handlers` has one, under the name that gVisor's own guides give it.
    const [own = "runsc"] = Object.entries(handlers ?? {}).find(([, name]) => name === runtimeClass) ?? [];
    return [own];
}

function workerContradictions(name, outputs) {
    const worker = outputs.workers[name];
    const path = `workers.${name}`;
    const found = [];
    const missing = handlersOf(worker, outputs).filter((handler) => !worker.handlers.includes(handler));
    for (const handler of missing) {
        found.push(
            `${path}.handlers is ${show(worker.handlers)}, without the handler "${handler}" that test-2 runs behind, ` +
                `although isolation.${name} says proven`,
        );
    }
    const { evidence } = worker;
    if (evidence && evidence.declared.sha256 !== worker.configSha256) {
        found.push(
            `${path}.evidence.declared.sha256 is ${show(evidence.declared.sha256)}, ` +
                `but ${path}.configSha256 is ${show(worker.configSha256)}`,
        );
    }
    for (const level of evidence ? ["loaded", "serving"] : []) {
        const known = evidence.declared.handlers;
        if (evidence[level].length === 0 || evidence[level].some((handler) => !known.includes(handler))) {
            found.push(
                `${path}.evidence.${level} is ${show(evidence[level])}, declared is ${show(known)}, ` +
                    `although isolation.${name} says proven`,
            );
        }
    }
    return found;
}

/**
 * Where valid outputs contradict themselves: all of it, as sentences that name the worker and the value.
 *
 * @param outputs outputs without invalidities
 * @returns [{ worker, message }]
 */
export function contradictions(outputs) {
    return Object.entries(outputs.isolation).flatMap(([name, verdict]) =>
        [
            ...verdictContradictions(name, verdict),
            ...(verdict.proven
                ? [
                      ...kernelContradictions(name, outputs.uname[name], outputs.dmesg[name]),
                      ...workerContradictions(name, outputs),
                      ...attackContradictions(name, outputs),
                  ]
                : []),
        ].map((message) => ({ worker: name, message })),
    );
}

/** Facts of one worker that were seen at different times, or of which one was changed. @returns as contradictions */
export function mismatches(outputs) {
    return Object.entries(outputs.workers)
        .filter(([name, { kernel }]) => kernel !== outputs.uname[name].worker)
        .map(([name, { kernel }]) => ({
            worker: name,
            message: `workers.${name}.kernel is ${show(kernel)}, but uname.${name}.worker is ${show(outputs.uname[name].worker)}`,
        }));
}
