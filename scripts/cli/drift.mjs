// Looks at the machines and the cluster again and says what is not as the stack has left it. Changes nothing.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { linesOf } from "../../components/vulnerabilities.cjs";
import { stackDirectory } from "./environment.mjs";
import { Failure } from "./failure.mjs";
import { isOutdated, knownOf } from "./known.mjs";
import { mark } from "./look.mjs";
import { cacheDir, moduleBin, readJson, readOr, root } from "./project.mjs";
import { capture } from "./run.mjs";
import { setup } from "./setup.mjs";
import { pulumiOf, stackExists, stackName } from "./stack.mjs";
import { exportState, resourcesOf } from "./state.mjs";

/** Exit code of `drift` where something differs; 1 is an error. */
const drifted = 3;

/** Local machines that do not run: nobody else must be asked at their addresses. */
function downMachines(stack) {
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
 * @returns { looked, machines, objects, vulnerabilities, outdated }; machines and objects hold only what differs, outdated
 * names the workers whose facts have to be captured again although nothing has drifted
 */
export async function look(stack, pulumi) {
    const asked = resourcesOf(stack, pulumi);
    const recorded = asked.then((resources) =>
        JSON.stringify({
            resources: resources.filter(({ type }) => /^(command:remote|kubernetes|pulumi:providers)/.test(type)),
            down: downMachines(stack),
        }),
    );
    // It loads its libraries while Pulumi reads the state.
    const { code, stdout, stderr } = await capture(join(moduleBin, "node"), [join("scripts", "cli", "look.mjs")], {
        input: recorded,
        cwd: root,
        env: { ...process.env, NODE_COMPILE_CACHE: join(cacheDir, "node-compile") },
    });
    if (code !== 0) {
        throw new Failure(`the machines of stack ${stack} could not be looked at: ${stderr.trim().split("\n").pop()}`);
    }
    const { versions, ...found } = JSON.parse(stdout);
    const { workers = {} } = (await asked).find(({ type }) => type === "pulumi:pulumi:Stack")?.outputs ?? {};
    const vulnerabilities = Object.entries(versions).flatMap(([worker, own]) =>
        knownOf(workers[worker], own).map((one) => ({ worker, ...one })),
    );
    const outdated = Object.keys(versions).filter((worker) => isOutdated(workers[worker], versions[worker]));
    return { ...found, vulnerabilities, outdated };
}

/** What is known against the machines, one line for each machine and version. */
function warnings({ vulnerabilities }) {
    return [...new Set(vulnerabilities.map(({ worker }) => worker))].flatMap((worker) =>
        linesOf(vulnerabilities.filter((one) => one.worker === worker)).map((line) => `${worker}: ${line}`),
    );
}

/** What was found, one line a difference. */
export function lines({ machines, objects }) {
    return [
        ...machines.flatMap(({ worker, differences }) => differences.map((text) => `${worker}: ${text}`)),
        ...objects.flatMap(({ object, differences }) => differences.map((text) => `${object}: ${text}`)),
    ];
}

/** Marks what was found on machines. What cannot be reached is left alone: nobody knows how it is. */
export async function markDrifted(stack, { machines, outdated }, pulumi) {
    const workers = machines.filter(({ unreachable }) => !unreachable).map(({ worker }) => worker);
    const steps = [
        ...[...workers, ...outdated].map((worker) => `${worker}-runtime-facts`),
        ...workers.map((worker) => `${worker}-runtime-install`),
    ];
    await markSteps(stack, steps, pulumi);
}

/** Notes in the state which steps do not hold any more, so that the next update runs them again. */
export async function markSteps(stack, steps, pulumi) {
    if (steps.length === 0) {
        return;
    }
    const state = await exportState(stack, pulumi);
    for (const resource of state.deployment.resources) {
        const name = resource.urn.slice(resource.urn.lastIndexOf("::") + 2);
        // A refresh takes the inputs from the outputs.
        for (const properties of steps.includes(name) ? [resource.inputs, resource.outputs] : []) {
            if (typeof properties?.stdin === "string" && !properties.stdin.startsWith(mark)) {
                properties.stdin = mark + properties.stdin;
            }
        }
    }
    const args = ["stack", "import", "--stack", stack];
    const { code, stderr } = await capture(pulumi.path, args, { env: pulumi.env, input: JSON.stringify(state) });
    if (code !== 0) {
        throw new Failure(`the state of stack ${stack} could not be marked: ${stderr.trim().split("\n").pop()}`);
    }
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
    const { outdated: _, ...found } = await look(stack, pulumi);
    const told = lines(found);
    if (args.includes("--json")) {
        process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
    } else if (told.length === 0) {
        process.stdout.write(`stack ${stack}: nothing has drifted; ${found.looked} machines and objects looked at\n`);
    } else {
        process.stdout.write(`stack ${stack} has drifted:\n${told.map((line) => `  ${line}\n`).join("")}`);
        process.stdout.write(`\`npm run up\` puts it right\n`);
    }
    if (!args.includes("--json")) {
        process.stdout.write(
            warnings(found)
                .map((line) => `known to be vulnerable, no drift: ${line}\n`)
                .join(""),
        );
    }
    return told.length === 0 ? 0 : drifted;
}
