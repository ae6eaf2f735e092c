// up, preview and destroy: Pulumi's own commands with what they need before and after.
import { existsSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { lines, look } from "./drift.ts";
import { stackDirectory } from "./environment.ts";
import { capturedIn, failuresIn, kubernetesLines, restartsIn, restartText } from "./events.ts";
import { Failure } from "./failure.ts";
import { preflight, prepareHost, preparePrograms, removeLeftovers, sourcesReady, stepsOfHost } from "./host.ts";
import { lockStack } from "./locks.ts";
import { logDir, versions } from "./project.ts";
import type { Pulumi } from "./pulumi.ts";
import { checkStackFree, interruptedFile, repairState } from "./repair.ts";
import { capture, runInTerminal } from "./run.ts";
import { containerdOf, isLocal, setting, workerNames } from "./settings.ts";
import { setup } from "./setup.ts";
import {
    checkArguments,
    ensureStack,
    pulumiOf,
    stackExists,
    stackInFiles,
    stackName,
    withScratchStack,
} from "./stack.ts";
import { checkPlugin } from "./standins.ts";
import type { Unseen } from "./summary.ts";
import { UpdateView } from "./view.ts";

/** What a look before an update has found. */
interface Repairs {
    /** For `pulumi up` and `pulumi preview`: the update repairs what has changed since the last one. */
    readonly flags: readonly string[];
    /** Restarts of containerd that the repair brings, as lines. */
    readonly restarts: readonly string[];
    readonly unseen: readonly Unseen[];
}

// What takes long to load is loaded while children run: the receiver of events, and what judges the outputs.
const eventLog = () => import("./eventLog.ts");
const judging = () => Promise.all([import("./check.ts"), import("./summary.ts")]);

function note(...lines: readonly string[]): void {
    process.stderr.write(lines.map((line) => `${line}\n`).join(""));
}

/** How a command for this stack is typed. */
const typed = (stack: string, command: string) => `${stack === "dev" ? "" : `STACK=${stack} `}npm run ${command}`;

/**
 * Runs `pulumi up` or `pulumi destroy`, with one line a step. With --verbose among the arguments Pulumi shows all that it has
 * to say instead.
 *
 * @returns path of the event log
 * @throws {Failure} that names the steps which failed
 */
async function runPulumi(
    verb: "up" | "destroy",
    stack: string,
    given: readonly string[],
    pulumi: Pulumi,
): Promise<string> {
    const args = given.filter((arg) => arg !== "--verbose");
    const verbose = args.length < given.length;
    const view = new UpdateView(workerNames(stack).length);
    const { openEventLog } = await eventLog();
    const events = await openEventLog(`${verb}-${stack}`, (event) => verbose || view.take(event));
    const log = events.path;
    const all = [verb, "--yes", "--skip-preview", "--stack", stack, "--event-log", events.address, ...args];
    const env = { ...pulumi.env, PULUMI_DEBUG_COMMANDS: "true" };
    const output = verbose ? "inherit" : openSync(join(logDir, `${verb}-${stack}.log`), "w", 0o600);
    const running = runInTerminal(pulumi.path, all, { env, stdio: ["inherit", output, output] });
    void judging();
    const code = await running.finally(events.close);
    view.close();
    if (verb === "up") {
        note(...keptKubernetes(stack, log));
    }
    if (code !== 0) {
        const { steps, messages } = failuresIn(log);
        const what = steps.length > 0 ? `failed: ${steps.join(", ")}` : "failed before any step";
        throw new Failure(`\`pulumi ${verb}\` of stack ${stack} ${what}.`, {
            exitCode: code,
            tail: messages.slice(0, 20),
            log,
            next: `correct the cause, then ${typed(stack, verb)}: what is done is kept`,
        });
    }
    return log;
}

/** Which nodes keep another Kubernetes than a new stack would get, by the event log of a run. */
function keptKubernetes(stack: string, log: string): string[] {
    return kubernetesLines(log, setting(stack, "kubernetesVersion") || undefined, versions.kubernetes.version);
}

/** `up`: from whatever there is to proven sandboxes. */
export async function up(args: readonly string[]): Promise<void> {
    const stack = stackName();
    checkArguments(args);
    await lockStack(stack, "up");
    const stale = checkStackFree(stack);
    const local = isLocal(stack);
    const toolchain = await setup("up", { debian: local, later: local ? stepsOfHost(stack) : [] });
    checkPlugin(setting(stack, "target"), toolchain);
    const pulumi = pulumiOf(toolchain);
    if (local) {
        await preflight(stack);
        if (!sourcesReady(stack)) {
            await checkProgram(stack, pulumi);
        }
        await prepareHost(stack);
    } else {
        await preparePrograms(stack);
    }
    const isNew = await ensureStack(stack, pulumi);
    await repairState(stack, stale, pulumi, note);
    if (existsSync(interruptedFile(stack))) {
        pulumi.env.PULUMI_K8S_UPSERT_EXISTING_OBJECTS = "true";
    }
    const { flags, unseen }: Repairs = isNew ? { flags: [], restarts: [], unseen: [] } : await repairs(stack, pulumi);
    const log = await runPulumi("up", stack, [...flags, ...args], pulumi);
    rmSync(interruptedFile(stack), { force: true });
    const [{ judge, stackOutputs }, { withUnseen }] = await judging();
    const found = await stackOutputs(stack, pulumi);
    if (found === undefined) {
        note(`stack ${stack}: no worker has a sandbox (the setting overrides), so there is nothing to prove`);
    } else {
        judge({ ...found, workers: withUnseen(found.workers, unseen, capturedIn(log)) }, stack);
    }
}

/** Looks at what the stack has left on machines and in the cluster, and reports what differs. */
async function repairs(stack: string, pulumi: Pulumi): Promise<Repairs> {
    const looking = look(stack, pulumi);
    void eventLog();
    const found = await looking;
    const { differing, unseen } = lines(found);
    note(...differing.map((line) => `drifted: ${line}`), ...unseen.map((line) => `not looked at: ${line}`));
    const refresh = found.objects.some(({ down }) => !down);
    return {
        // The engine runs these steps again, and all that depends on what they find.
        flags: [...found.again.flatMap((urn) => ["--replace", urn]), ...(refresh ? ["--refresh"] : [])],
        restarts: found.machines.flatMap(({ worker, restart }) =>
            restart.map((why) => `containerd restarts on ${worker}: ${why}`),
        ),
        unseen: found.unseen,
    };
}

/**
 * Of a preview, which saves no state: else the engine makes one after each step, which takes most of its time where there are many
 * workers.
 */
const unsaved = { PULUMI_EXPERIMENTAL: "true", PULUMI_SKIP_CHECKPOINTS: "true" };

/** Evaluates the program before minutes are spent on a mirror: a wrong setting is reported at once. */
async function checkProgram(stack: string, pulumi: Pulumi): Promise<void> {
    await withScratchStack(stack, pulumi, async ({ path, env }, scratch) => {
        const { code, stdout, stderr } = await capture(path, ["preview", ...scratch], { env: { ...env, ...unsaved } });
        if (code !== 0) {
            const text = `${stdout}\n${stderr}`;
            const reported = text.slice(Math.max(text.indexOf("Diagnostics:"), 0)).split("\n");
            throw new Failure(`the settings or the program of stack ${stack} are not right; nothing was changed.`, {
                tail: reported.filter((line) => line.trim() !== "").slice(0, 30),
                next: "correct them (every setting is described in Pulumi.yaml), then run again",
            });
        }
    });
}

/** `preview`: needs no root, and leaves no trace where the stack does not exist yet. @returns Pulumi's exit code */
export async function preview(args: readonly string[]): Promise<number> {
    const stack = stackName();
    checkArguments(args);
    const pulumi = pulumiOf(await setup("preview"));
    if (await stackExists(stack, pulumi)) {
        const { flags, restarts } = await repairs(stack, pulumi);
        return await runPreview(stack, ["--stack", stack, ...flags, ...args], pulumi, restarts);
    }
    return await withScratchStack(stack, pulumi, (scratch, flags) => runPreview(stack, [...flags, ...args], scratch));
}

/** Pulumi's preview, and below it the restarts of containerd that the update would bring. */
async function runPreview(
    stack: string,
    args: readonly string[],
    pulumi: Pulumi,
    repaired: readonly string[] = [],
): Promise<number> {
    const { openEventLog } = await eventLog();
    const events = await openEventLog(`preview-${stack}`);
    const env = { ...pulumi.env, ...unsaved, PULUMI_DEBUG_COMMANDS: "true" };
    const all = ["preview", "--event-log", events.address, ...args];
    const code = await runInTerminal(pulumi.path, all, { env }).finally(events.close);
    const restarts = restartsIn(events.path, containerdOf(stack));
    note(
        ...restarts.map((one) => `containerd restarts on ${one.worker}: ${restartText(one)}`),
        ...repaired,
        ...keptKubernetes(stack, events.path),
    );
    return code;
}

/** `destroy`: also after half of an `up`. Keeps the stack's settings and its empty state. */
export async function destroy(args: readonly string[]): Promise<void> {
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
        checkPlugin(setting(stack, "target"), toolchain);
        await repairState(stack, stale, pulumi, note);
        await runPulumi("destroy", stack, args, pulumi);
        rmSync(interruptedFile(stack), { force: true });
    }
    const removed = await removeLeftovers(stack);
    note(...removed.map((name) => `stack ${stack}: removed machine ${name}, which an interrupted run had left`));
    if (!exists && removed.length === 0) {
        process.stdout.write(nothing);
        return;
    }
    const target = isLocal(stack) ? `; ${stackDirectory(stack)} is gone` : "";
    process.stdout.write(`stack ${stack} is destroyed${target}. Pulumi.${stack}.yaml keeps its settings\n`);
}
