// @ts-nocheck
// The project's command line, which cli/bootstrap.mjs calls.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { kubectl, ssh } from "./access.ts";
import { check } from "./check.ts";
import { ci } from "./ci/main.ts";
import { destroy, preview, up } from "./deploy.ts";
import { drift } from "./drift.ts";
import { toolEnvironment } from "./environment.ts";
import { Failure, report } from "./failure.ts";
import { moduleBin, root } from "./project.ts";
import { reference } from "./reference.ts";
import { report as writeReport } from "./report.ts";
import { guardSignals, runInTerminal } from "./run.ts";
import { scanHostKeys } from "./scanHostKeys.ts";
import { purposes, setup } from "./setup.ts";
import { ensureStack, isLocal, machineEnvironment, pulumiOf, stackName } from "./stack.ts";
import { test, verify } from "./suites.ts";
import { versions } from "./versions.ts";

const usage = `Usage: npm run COMMAND, or: node cli/bootstrap.mjs COMMAND

  up [ARGS]       from whatever there is to proven sandboxes; ARGS go to \`pulumi up\`, --verbose shows all it says
  preview [ARGS]  what \`up\` would change; needs no root, changes nothing
  destroy [ARGS]  removes all that \`up\` made
  check [FILE|-]  exits with 0 only if every worker is proven, by the outputs alone; see docs/outputs.md
  check --pods [SELECTOR]
                  asks the workers, too, whether every pod that should be in a sandbox is in one
  report [FILE|-] the outputs as a page and as Markdown, in report/
  drift [--json]  looks at machines and cluster again and names what differs; exits with 3 if something does
  scan-host-keys NAME=HOST[:PORT] ...
                  host keys of existing machines, for you to verify
  ssh MACHINE [COMMAND]
                  a shell on a machine of the stack, or a command there
  kubectl ARGS    kubectl on the stack's cluster
  pulumi ARGS     any Pulumi command in this project's environment
  setup           only the set-up (--for ${Object.keys(purposes).join("|")})
  mirror ARGS     mirror/mirror.sh
  verify          format, lint, types, imports, shell
  test [SUITE]    verify and all tests, or one of unit, scripts, plugins, policy, e2e; or matrix, the versions of containerd;
                  or walk, a random walk (--help says more). --times keeps how long each file took in bench/tests.md, or
                  in the file after --times=
  bench           measures and compares

STACK=name picks another stack than dev.
`;

async function passToPulumi(args) {
    const stack = stackName();
    const pulumi = pulumiOf(await setup("preview"));
    if (args[0] === "config") {
        // Settings may be made before the first `up`.
        await ensureStack(stack, pulumi);
    }
    return await runInTerminal(pulumi.path, args, { env: { PULUMI_STACK: stack, ...pulumi.env } });
}

async function setupFor(args) {
    const [flag, purpose = "up", ...rest] = args;
    if ((flag !== undefined && flag !== "--for") || !(purpose in purposes) || rest.length > 0) {
        throw new Failure(
            `setup "${args.join(" ")}" is not known; allowed: --for ${Object.keys(purposes).join("|")}.`,
            {
                exitCode: 2,
            },
        );
    }
    const started = performance.now();
    await setup(purpose, { debian: purpose !== "up" || isLocal(stackName()) });
    process.stdout.write(`ready for ${purpose} (${Math.round(performance.now() - started)} ms)\n`);
}

async function mirror(args) {
    const script = join("mirror", "mirror.sh");
    if (!existsSync(join(root, script))) {
        throw new Failure(`${script} is missing.`, { next: "restore it from the repository" });
    }
    await setup("up", { debian: isLocal(stackName()) });
    return await runInTerminal("bash", [script, ...args], { env: machineEnvironment(stackName(), toolEnvironment()) });
}

async function bench(args) {
    await setup("up", { debian: isLocal(stackName()) });
    return await runInTerminal(join(moduleBin, "tsx"), [join("bench", "bench.ts"), ...args], {
        env: toolEnvironment(),
    });
}

const commands = {
    up,
    preview,
    destroy,
    check,
    report: writeReport,
    drift,
    ssh,
    kubectl,
    pulumi: passToPulumi,
    setup: setupFor,
    "scan-host-keys": scanHostKeys,
    mirror,
    verify,
    test,
    bench,
    ci,
    versions,
    reference,
};

async function main([command = "help", ...rest]) {
    const args = rest[0] === "--" ? rest.slice(1) : rest;
    // Those that hand on what they are given have a help of their own.
    const asksHelp = ["--help", "-h"].includes(args[0]) && !["pulumi", "kubectl", "ssh", "mirror"].includes(command);
    if (["help", "--help", "-h"].includes(command) || asksHelp) {
        process.stdout.write(usage);
        return 0;
    }
    if (!Object.hasOwn(commands, command)) {
        throw new Failure(`there is no command "${command}".\n${usage}`, { exitCode: 2 });
    }
    return (await commands[command](args)) ?? 0;
}

guardSignals();
// Who reads it may have seen enough, as in `npm run drift | head`: what is done goes on.
process.stdout.on("error", (error) => {
    if (error.code !== "EPIPE") throw error;
});
try {
    process.exitCode = await main(process.argv.slice(2));
} catch (error) {
    process.exitCode = report(error);
}
