// What the program's local commands call: `node scripts/on-host.mjs NAME ARGS`. Hands what stands on stdin, as JSON, to `main` of
// scripts/on-host/NAME.ts and prints what it returns. The project's own Node does, whichever the user's Pulumi finds first.
// States hold these calls, and removal runs them as they were: they stay the same.
import { spawnSync } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(import.meta.url);
const [name, ...args] = process.argv.slice(2);

async function run() {
    const { main } = await import(new URL(`on-host/${name}.ts`, import.meta.url));
    const input = await text(process.stdin);
    const result = await main(input === "" ? undefined : JSON.parse(input), ...args);
    return result === undefined || typeof result === "string" ? (result ?? "") : `${JSON.stringify(result)}\n`;
}

if (Number(process.versions.node.split(".")[0]) >= 24) {
    // Connections to the API server would keep it alive.
    await run().then(
        (result) => process.stdout.write(result, () => process.exit(0)),
        (error) => process.stderr.write(`error: ${error.message}\n`, () => process.exit(1)),
    );
} else {
    const node = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));
    const { status, error } = spawnSync(node, [here, name, ...args], { stdio: "inherit" });
    if (error) process.stderr.write(`error: the project's Node, ${node}, does not run: ${error.message}; run npm ci\n`);
    process.exitCode = status ?? 1;
}
