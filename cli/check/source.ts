// Where outputs come from: a stack, a file, or standard input.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { text as readAll } from "node:stream/consumers";
import type { Outputs } from "../../schema/outputs.ts";
import { Failure } from "../failure.ts";
import { askPulumi, type Pulumi } from "../run.ts";
import { setup } from "../setup.ts";
import { pulumiOf, stackExists, stackInFiles, stackName } from "../stack.ts";
import { readOutputs } from "../summary.ts";
import { readHistory, type Updates } from "./history.ts";
import type { Worker } from "./problems.ts";
import { schemaFile } from "./schema.ts";

/** Outputs as they were found: where there are complaints they are not valid, and there are no workers. */
export interface Found {
    readonly outputs: Outputs;
    readonly workers: readonly Worker[];
    readonly complaints: readonly string[];
}

export interface Stack {
    readonly name: string;
    readonly pulumi: Pulumi;
    readonly updates: Updates;
}

export interface Source extends Found {
    /** Where they are from. */
    readonly label: string;
    /** What to do where they are not what they should be. */
    readonly next: string;
    /** The stack, unless they are from a file. */
    readonly stack?: Stack;
}

/** How a stack is brought up. */
export const upOf = (stack: string) => (stack === "dev" ? "npm run up" : `STACK=${stack} npm run up`);

/** @throws {Failure} with exit code 2 */
export function readText(path: string): string {
    try {
        return readFileSync(resolve(path), "utf8");
    } catch (error) {
        const [reason] = (error as Error).message.split(",");
        throw new Failure(`${resolve(path)} cannot be read: ${reason}.`, { exitCode: 2 });
    }
}

export function parse(text: string): Found {
    try {
        const outputs = JSON.parse(text);
        return { outputs, ...readOutputs(outputs) };
    } catch (error) {
        if (!(error instanceof SyntaxError)) {
            throw error;
        }
        return { outputs: {} as Outputs, workers: [], complaints: [`they are not JSON: ${error.message}`] };
    }
}

/** What `pulumi stack output --json` prints. @throws {Failure} where it cannot be read */
export async function outputText(stack: string, pulumi: Pulumi): Promise<string> {
    const args = ["stack", "output", "--json", "--stack", stack];
    const { code, stdout, stderr } = await askPulumi(pulumi, args);
    if (code !== 0) {
        const reason = stderr
            .trim()
            .split("\n")
            .pop()
            ?.replace(/^error: /, "");
        throw new Failure(`the outputs of stack ${stack} cannot be read: ${reason}`, { exitCode: code });
    }
    return stdout;
}

/**
 * Reads and validates outputs.
 *
 * @param file path of a file, "-" for standard input, or undefined for those of the stack
 * @throws {Failure} where there are none
 */
export async function readSource(file?: string): Promise<Source> {
    if (file === undefined) {
        return await stackSource(stackName());
    }
    await setup("packages");
    return {
        label: file === "-" ? "standard input" : file,
        next: `docs/outputs.md and ${schemaFile} say what they should be`,
        ...parse(file === "-" ? await readAll(process.stdin) : readText(file)),
    };
}

async function stackSource(name: string): Promise<Source> {
    const next = upOf(name);
    const missing = () => new Failure(`there is no stack ${name}, so nothing is proven.`, { next });
    if (stackInFiles(name) === false) {
        throw missing();
    }
    const pulumi = pulumiOf(await setup("preview"));
    if (!(await stackExists(name, pulumi))) {
        throw missing();
    }
    const [text, updates] = await Promise.all([outputText(name, pulumi), readHistory(name, pulumi)]);
    if (/^\s*\{\s*\}\s*$/.test(text)) {
        throw new Failure(`stack ${name} has no outputs: it was never brought up, or was destroyed.`, { next });
    }
    return { label: `stack ${name}`, next, stack: { name, pulumi, updates }, ...parse(text) };
}
