// Times SSH rounds to a worker, by what `npm run up` and `npm run drift` look at machines with.
//
// stdin:  {"connection": fields of a remote Command's connection, "step": text of the step that installed gVisor}
// stdout: {"empty", "look"}: seconds of rounds that do nothing, and of ones that look, taken in turn
import { text } from "node:stream/consumers";
import { runOn } from "../cli/machines.ts";

type Connection = Parameters<typeof runOn>[0];

const { connection, step }: { connection: Connection; step: string } = JSON.parse(await text(process.stdin));

/** Runs a command there, and resolves with the seconds that took. */
async function round(command: string, input: string, expected: string): Promise<number> {
    const start = performance.now();
    const { stdout, stderr } = await runOn(connection, command, input);
    const taken = (performance.now() - start) / 1000;
    if (!stdout.includes(expected)) {
        throw new Error(`${command} said "${stdout.trim()}" instead of ${expected}: ${stderr.trim()}`);
    }
    return taken;
}

const seconds: Record<"empty" | "look", number[]> = { empty: [], look: [] };
await round("true", "", ""); // loads the client
for (let i = 0; i < 5; i++) {
    seconds.empty.push(await round("true", "", ""));
    seconds.look.push(await round("bash -s -- inspect", step, '"differences":[]'));
}
process.stdout.write(JSON.stringify(seconds));
