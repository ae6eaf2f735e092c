// @ts-nocheck
// Looks at the machines and the cluster again and says what is not as the stack has left it. Changes nothing.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { linesOf } from "../components/vulnerabilities.cjs";
import { readHistory } from "./check/history.ts";
import { stackDirectory } from "./environment.ts";
import { Failure } from "./failure.ts";
import { isOutdated, knownOf } from "./known.ts";
import { cacheDir, moduleBin, readJson, readOr, root } from "./project.ts";
import { capture } from "./run.ts";
import { setup } from "./setup.ts";
import { pulumiOf, stackExists, stackName } from "./stack.ts";
import { resourcesOf } from "./state.ts";

/** Exit code of `drift` where something differs; 1, of an error, is that where something could not be looked at. */
const drifted = 3;

/** Local machines that do not run: nobody else must be asked at their addresses. */
export function downMachines(stack) {
    const machines = join(stackDirectory(stack), "machines");
    const bootId = readOr("/proc/sys/kernel/random/boot_id", "").trim();
    return (existsSync(machines) ? readdirSync(machines) : []).filter((name) => {
        const was = readJson(join(machines, name, "process.json"));
        const stat = was && readOr(`/proc/${was.pid}/stat`, "");
        const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ") ?? [];
        return was?.bootId !== bootId || fields[0] === "Z" || fields[19] !== String(was.startTime);
    });
}

/**
 * All that differs, and what is known against the machines as they are now, which is no difference.
 *
 * @param canaries whether a new pod of each class is started on each worker
 * @returns { looked, machines, objects, unseen, vulnerabilities, again }: machines and objects hold only what differs, unseen
 * has { what, why } of what could not be looked at; again has the URNs of the steps that look at a worker, or find out what it
 * is like, of those where that has to be done again
 */
export async function look(stack, pulumi, { canaries = false } = {}) {
    const asked = resourcesOf(stack, pulumi);
    const history = readHistory(stack, pulumi);
    const recorded = asked.then((resources) =>
        JSON.stringify({
            resources: resources.filter(({ type }) => /^(command|kubernetes|pulumi:providers)/.test(type)),
            down: downMachines(stack),
            canaries,
        }),
    );
    // It loads its libraries while Pulumi reads the state.
    const { code, stdout, stderr } = await capture(join(moduleBin, "node"), [join("cli", "look.ts")], {
        input: recorded,
        // Longer than the canaries may take; a cluster may also never answer.
        limit: 420_000,
        cwd: root,
        env: { ...process.env, NODE_COMPILE_CACHE: join(cacheDir, "node-compile") },
    });
    if (code !== 0) {
        throw new Failure(`the machines of stack ${stack} could not be looked at: ${stderr.trim().split("\n").pop()}`);
    }
    const { versions, again: named, ...found } = JSON.parse(stdout);
    const resources = await asked;
    const { workers = {} } = resources.find(({ type }) => type === "pulumi:pulumi:Stack")?.outputs ?? {};
    const vulnerabilities = Object.entries(versions).flatMap(([worker, own]) =>
        knownOf(workers[worker], own).map((one) => ({ worker, ...one })),
    );
    const { last } = await history;
    const changed = found.machines.filter(({ down }) => !down);
    const moved = changed.filter((one) => one.moved !== false).map(({ worker }) => worker);
    const outdated = Object.keys(versions).filter((worker) => isOutdated(workers[worker], versions[worker]));
    const steps = [
        ...[...moved, ...outdated].map((worker) => `${worker}-runtime-facts`),
        ...changed.map(({ worker }) => `${worker}-runtime-look`),
        ...named,
    ];
    // Somebody corrects what was refused: the next update must not go by what it was like.
    const refused = last !== undefined && last.result !== "succeeded";
    const again = resources
        .filter(
            ({ name, leaving }) => !leaving && (steps.includes(name) || (refused && name.endsWith("-runtime-facts"))),
        )
        .map(({ urn }) => urn);
    return { ...found, vulnerabilities, again };
}

/** What is known against the machines, one line for each machine and version. */
function warnings({ vulnerabilities }) {
    return [...new Set(vulnerabilities.map(({ worker }) => worker))].flatMap((worker) =>
        linesOf(vulnerabilities.filter((one) => one.worker === worker)).map((line) => `${worker}: ${line}`),
    );
}

/**
 * What was found, as lines: a difference each in `differing`, and in `unseen` what could not be looked at. Of that nobody knows
 * how it is, and it is left alone.
 */
export function lines({ machines, objects, unseen = [] }) {
    return {
        differing: [
            ...machines.flatMap(({ worker, differences }) => differences.map((text) => `${worker}: ${text}`)),
            ...objects.flatMap(({ object, differences }) => differences.map((text) => `${object}: ${text}`)),
        ],
        unseen: unseen.map(({ what, why }) => `${what}: ${why}`),
    };
}

/** `drift [--json]`. */
export async function drift(args) {
    const unknown = args.find((arg) => arg !== "--json");
    if (unknown !== undefined) {
        throw new Failure(`drift does not know "${unknown}"; allowed: --json.`, { exitCode: 2 });
    }
    const stack = stackName();
    const pulumi = pulumiOf(await setup("preview"));
    if (!(await stackExists(stack, pulumi))) {
        throw new Failure(`there is no stack ${stack}, so nothing can have drifted.`, { next: "npm run up" });
    }
    const { again: _, ...found } = await look(stack, pulumi, { canaries: true });
    const { differing, unseen } = lines(found);
    const list = (title, all) =>
        all.length === 0 ? "" : `stack ${stack} ${title}:\n${all.map((line) => `  ${line}\n`).join("")}`;
    if (args.includes("--json")) {
        process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
    } else if (differing.length + unseen.length === 0) {
        process.stdout.write(`stack ${stack}: nothing has drifted; ${found.looked} machines and objects looked at\n`);
    } else {
        process.stdout.write(list("has drifted", differing) + list("could not be looked at in full", unseen));
        if (differing.length > 0) process.stdout.write("`npm run up` repairs what differs from the stack\n");
    }
    if (!args.includes("--json")) {
        process.stdout.write(
            warnings(found)
                .map((line) => `known to be vulnerable, no drift: ${line}\n`)
                .join(""),
        );
    }
    return differing.length > 0 ? drifted : Math.min(unseen.length, 1);
}
