// @ts-nocheck
// up, preview and destroy: Pulumi's own commands with what they need before and after.
import { existsSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { judge, stackOutputs } from "./check.ts";
import { lines, look } from "./drift.ts";
import { stackDirectory } from "./environment.ts";
import { failuresIn, kubernetesLines, openEventLog, restartsIn, restartText } from "./events.ts";
import { Failure } from "./failure.ts";
import { preflight, prepareAttacks, prepareHost, removeLeftovers, sourcesReady, stepsOfHost } from "./host.ts";
import { lockStack } from "./locks.ts";
import { logDir, versions } from "./project.ts";
import { capture, runInTerminal } from "./run.ts";
import { setup } from "./setup.ts";
import {
    checkArguments,
    checkStackFree,
    containerdOf,
    ensureStack,
    interruptedFile,
    isLocal,
    pulumiOf,
    repairState,
    scratchStack,
    setting,
    stackExists,
    stackInFiles,
    stackName,
} from "./stack.ts";
import { checkPlugin } from "./standins.ts";
import { UpdateView } from "./view.ts";

const note = (text) => process.stderr.write(`${text}\n`);

/** How a command for this stack is typed. */
function typed(stack, command) {
    return `${stack === "dev" ? "" : `STACK=${stack} `}npm run ${command}`;
}

/**
 * Runs `pulumi up` or `pulumi destroy`, with one line a step; a failure says which step it was. With --verbose among the
 * arguments Pulumi shows all that it has to say instead.
 */
async function runPulumi(verb, stack, given, pulumi) {
    const args = given.filter((arg) => arg !== "--verbose");
    const verbose = args.length < given.length;
    const view = new UpdateView();
    const { pipe, path: log, close } = openEventLog(`${verb}-${stack}`, (event) => verbose || view.take(event));
    const all = [verb, "--yes", "--skip-preview", "--stack", stack, "--event-log", pipe, ...args];
    const env = { ...pulumi.env, PULUMI_DEBUG_COMMANDS: "true" };
    const said = verbose ? "inherit" : openSync(join(logDir, `${verb}-${stack}.log`), "w", 0o600);
    const code = await runInTerminal(pulumi.path, all, { env, stdio: ["inherit", said, said] }).finally(close);
    view.close();
    for (const line of verb === "up" ? keptKubernetes(stack, log) : []) {
        note(line);
    }
    if (code !== 0) {
        const { steps, messages } = failuresIn(log);
        const what = steps.length > 0 ? `failed: ${steps.join(", ")}` : "failed before any step";
        throw new Failure(`\`pulumi ${verb}\` of stack ${stack} ${what}.`, {
            exitCode: code,
            tail: messages.flatMap((message) => message.split("\n")).slice(0, 20),
            log,
            next: `correct the cause, then ${typed(stack, verb)}: what is done is kept`,
        });
    }
}

/** Which nodes keep another Kubernetes than a new stack would get, by the event log of a run. */
function keptKubernetes(stack, log) {
    return kubernetesLines(log, setting(stack, "kubernetesVersion") || undefined, versions.kubernetes.version);
}

/** `up`: from whatever there is to proven sandboxes. */
export async function up(args) {
    const stack = stackName();
    checkArguments(args);
    await lockStack(stack, "up");
    const stale = checkStackFree(stack);
    const local = isLocal(stack);
    const toolchain = await setup("up", { debian: local, later: local ? stepsOfHost(stack) : [] });
    checkPlugin(setting(stack, "target", "local"), toolchain);
    const pulumi = pulumiOf(toolchain);
    if (local) {
        await preflight(stack);
        if (!sourcesReady(stack)) {
            await checkProgram(stack, pulumi);
        }
        await prepareHost(stack);
    } else {
        await prepareAttacks(stack);
    }
    const isNew = await ensureStack(stack, pulumi);
    await repairState(stack, stale, pulumi, note);
    if (existsSync(interruptedFile(stack))) {
        pulumi.env.PULUMI_K8S_UPSERT_EXISTING_OBJECTS = "true";
    }
    await runPulumi("up", stack, [...(isNew ? [] : (await repairs(stack, pulumi)).flags), ...args], pulumi);
    rmSync(interruptedFile(stack), { force: true });
    const outputs = await stackOutputs(stack, pulumi);
    if (outputs === undefined) {
        note(`stack ${stack}: no worker has a sandbox (the setting overrides), so there is nothing to prove`);
    } else {
        judge(outputs, stack);
    }
}

/**
 * Looks at what the stack has left on machines and in the cluster. The update that gets the flags repairs what has changed
 * since: it looks again at these workers, and the engine runs all that depends on what is found.
 *
 * @returns { flags for `pulumi up` or `preview`, restarts: [{ worker, why }] of containerd that the repair takes }
 */
async function repairs(stack, pulumi) {
    const found = await look(stack, pulumi);
    const { differing, unseen } = lines(found);
    for (const line of [
        ...differing.map((one) => `drifted: ${one}`),
        ...unseen.map((one) => `not looked at: ${one}`),
    ]) {
        note(line);
    }
    const refresh = found.objects.some(({ down }) => !down);
    return {
        flags: [...found.again.flatMap((urn) => ["--replace", urn]), ...(refresh ? ["--refresh"] : [])],
        restarts: found.machines.flatMap(({ worker, restart }) => restart.map((why) => ({ worker, why }))),
    };
}

/** Evaluates the program before minutes are spent on a mirror: a wrong setting is told at once. */
async function checkProgram(stack, pulumi) {
    const scratch = await scratchStack(stack, pulumi);
    try {
        const args = ["preview", "--stack", stack, ...scratch.args];
        const { code, stdout, stderr } = await capture(pulumi.path, args, { env: scratch.env });
        if (code !== 0) {
            const text = `${stdout}\n${stderr}`;
            const told = text.slice(Math.max(text.indexOf("Diagnostics:"), 0));
            throw new Failure(`the settings or the program of stack ${stack} are not right; nothing was changed.`, {
                tail: told
                    .split("\n")
                    .filter((line) => line.trim() !== "")
                    .slice(0, 30),
                next: "correct them (every setting is described in Pulumi.yaml), then run again",
            });
        }
    } finally {
        rmSync(scratch.folder, { recursive: true, force: true });
    }
}

/** `preview`: needs no root, and leaves no trace where the stack does not exist yet. */
export async function preview(args) {
    const stack = stackName();
    checkArguments(args);
    const pulumi = pulumiOf(await setup("preview"));
    if (await stackExists(stack, pulumi)) {
        const { flags, restarts } = await repairs(stack, pulumi);
        return await runPreview(stack, [...flags, ...args], pulumi, restarts);
    }
    const scratch = await scratchStack(stack, pulumi);
    try {
        return await runPreview(stack, [...scratch.args, ...args], { path: pulumi.path, env: scratch.env });
    } finally {
        rmSync(scratch.folder, { recursive: true, force: true });
    }
}

/** Pulumi's preview, and below it the restarts of containerd that it would bring. */
async function runPreview(stack, args, pulumi, repaired = []) {
    const { pipe, path: log, close } = openEventLog(`preview-${stack}`);
    const all = ["preview", "--stack", stack, "--event-log", pipe, ...args];
    const env = { ...pulumi.env, PULUMI_DEBUG_COMMANDS: "true" };
    const code = await runInTerminal(pulumi.path, all, { env }).finally(close);
    for (const line of [
        ...restartsIn(log, containerdOf(stack)).map(
            (one) => `containerd restarts on ${one.worker}: ${restartText(one)}`,
        ),
        ...repaired.map(({ worker, why }) => `containerd restarts on ${worker}: ${why}`),
        ...keptKubernetes(stack, log),
    ]) {
        note(line);
    }
    return code;
}

/** `destroy`: also after half of an `up`. Keeps the stack's settings and its empty state. */
export async function destroy(args) {
    const stack = stackName();
    checkArguments(args);
    await lockStack(stack, "destroy");
    const stale = checkStackFree(stack);
    const nothing = `stack ${stack} does not exist: nothing to destroy\n`;
    if (stackInFiles(stack) === false && !existsSync(stackDirectory(stack))) {
        process.stdout.write(nothing);
        return;
    }
    const toolchain = await setup("preview");
    const pulumi = pulumiOf(toolchain);
    const exists = await stackExists(stack, pulumi);
    if (exists) {
        checkPlugin(setting(stack, "target", "local"), toolchain);
        await repairState(stack, stale, pulumi, note);
        await runPulumi("destroy", stack, args, pulumi);
        rmSync(interruptedFile(stack), { force: true });
    }
    const removed = await removeLeftovers(stack);
    for (const name of removed) {
        note(`stack ${stack}: removed machine ${name}, which an interrupted run had left`);
    }
    if (!exists && removed.length === 0) {
        process.stdout.write(nothing);
        return;
    }
    const target = isLocal(stack) ? `; ${stackDirectory(stack)} is gone` : "";
    process.stdout.write(`stack ${stack} is destroyed${target}. Pulumi.${stack}.yaml keeps its settings\n`);
}
