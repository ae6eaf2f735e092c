import type { PropertyMap } from "../../shared/properties";
import { at, type KubeObject, maps, nameOf, namespaceOf, text } from "../objects";
import type { Look } from "./types";

function condition(pod: KubeObject, type: string): PropertyMap | undefined {
    return maps(pod, "status", "conditions").find((candidate) => candidate.type === type);
}

/** The name, with the namespace unless that is the default one. */
function displayName(pod: KubeObject): string {
    const namespace = namespaceOf(pod);
    return namespace === "" || namespace === "default" ? nameOf(pod) : `${namespace}/${nameOf(pod)}`;
}

function trimPullMessage(message: string): string {
    return message
        .replace(/^rpc error: code = Unknown desc = Error response from daemon: /, "")
        .replace(/: manifest unknown$/, "");
}

function containerProblems(status: PropertyMap): string[] {
    const name = text(status, "name");
    const problems: string[] = [];
    const waiting = at(status, "state", "waiting");
    if (waiting !== undefined && text(waiting, "reason") !== "ContainerCreating") {
        problems.push(`[${text(waiting, "reason")}] ${trimPullMessage(text(waiting, "message"))}`);
    }
    const ended = at(status, "state", "terminated");
    const reason = text(ended, "reason");
    if (reason !== "") {
        const message = text(ended, "message");
        problems.push(
            message === ""
                ? `container "${name}" completed with exit code ${String(at(ended, "exitCode") ?? 0)}`
                : `[${reason}] ${trimPullMessage(message)}`,
        );
    }
    const last = at(status, "lastState", "terminated");
    if (last !== undefined) {
        const how = `${text(last, "reason")}: exit code ${String(at(last, "exitCode") ?? 0)}`;
        problems.push(`container "${name}" terminated at ${text(last, "finishedAt")} (${how})`);
        if (text(last, "message") !== "") {
            problems.push(text(last, "message"));
        }
    }
    return problems;
}

function problemsOf(pod: KubeObject, found: PropertyMap): string[] {
    const message = text(found, "message");
    const containers = maps(pod, "status", "containerStatuses")
        .filter((status) => status.ready !== true)
        .flatMap(containerProblems);
    if (message === "" && containers.length === 0) {
        return [];
    }
    const head = text(found, "reason") === "" ? "" : message;
    return [`[Pod ${displayName(pod)}]: ${head}${containers.join("\n")}`];
}

/**
 * Whether a pod is scheduled, initialised, and ready or succeeded; the first of them that is not is what it waits for. A
 * failed or crash-looping pod is not given up on: its controller, or a fixed image, may still bring it up.
 */
export function lookAtPod(pod: KubeObject): Look {
    const look: Look = { ready: false, progress: [], problems: [] };
    const step = (what: string): void => {
        look.progress.push(`Waiting for Pod "${displayName(pod)}" to be ${what}`);
    };
    step("scheduled");
    const scheduled = condition(pod, "PodScheduled");
    if (scheduled?.status !== "True") {
        const message = text(scheduled, "message");
        look.problems = message === "" ? [] : [`[Pod ${displayName(pod)}]: ${message}`];
        return look;
    }
    step("initialized");
    const initialized = condition(pod, "Initialized");
    if (initialized?.status !== "True") {
        look.problems = initialized === undefined ? [] : problemsOf(pod, initialized);
        return look;
    }
    step("ready");
    const ready = condition(pod, "Ready");
    look.ready = ready !== undefined && (ready.status === "True" || at(pod, "status", "phase") === "Succeeded");
    look.problems = ready === undefined || look.ready ? [] : problemsOf(pod, ready);
    return look;
}
