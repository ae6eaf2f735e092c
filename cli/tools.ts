// The project's other programs, with what they need: Pulumi itself, the mirror, the bench.
import { join } from "node:path";
import { toolEnvironment } from "./environment.ts";
import { moduleBin } from "./project.ts";
import { runInTerminal } from "./run.ts";
import { isLocal, machineEnvironment } from "./settings.ts";
import { type purposes, setup } from "./setup.ts";
import { ensureStack, pulumiOf, stackName } from "./stack.ts";

/** `pulumi ARGS`: any Pulumi command in this project's environment. @returns its exit code */
export async function pulumi(args: readonly string[]): Promise<number> {
    const stack = stackName();
    const { path, env } = pulumiOf(await setup("preview"));
    if (args[0] === "config") {
        // Settings may be made before the first `up`.
        await ensureStack(stack, { path, env });
    }
    return await runInTerminal(path, args, { env: { PULUMI_STACK: stack, ...env } });
}

/** `setup`: prepares what a purpose needs, and says how long that took. */
export async function ready(purpose: keyof typeof purposes): Promise<void> {
    const started = performance.now();
    await setup(purpose, { debian: purpose !== "up" || isLocal(stackName()) });
    process.stdout.write(`ready for ${purpose} (${Math.round(performance.now() - started)} ms)\n`);
}

/** `mirror ARGS`: mirror/mirror.sh. @returns its exit code */
export async function mirror(args: readonly string[]): Promise<number> {
    const stack = stackName();
    await setup("up", { debian: isLocal(stack) });
    const script = join("mirror", "mirror.sh");
    return await runInTerminal("bash", [script, ...args], { env: machineEnvironment(stack, toolEnvironment()) });
}

/** `bench ARGS`: measures and compares. @returns its exit code */
export async function bench(args: readonly string[]): Promise<number> {
    await setup("up", { debian: isLocal(stackName()) });
    return await runInTerminal(join(moduleBin, "tsx"), [join("bench", "bench.ts"), ...args], {
        env: toolEnvironment(),
    });
}
