// What the workflows do beside the commands that people use; docs/ci.md says what each is for.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../failure.ts";
import { logDir } from "../project.ts";
import { askPulumi, capture } from "../run.ts";
import { setup } from "../setup.ts";
import { pulumiOf, stackName } from "../stack.ts";
import { actionlint } from "./actionlint.ts";
import { comment } from "./comment.ts";
import { differences, digestOf, readDigest } from "./digest.ts";
import { addSummary, setOutput } from "./github.ts";
import { driftIssue } from "./issue.ts";
import { block, code, previewText } from "./markdown.ts";
import { release } from "./release.ts";

export const usage = `Usage: npm run ci -- COMMAND

  stacks             names of the stacks whose settings are in the repository, as JSON
  digest FILE        what the last \`npm run preview\` of STACK would change, without values, into FILE
  same FILE          fails if the last \`npm run preview\` would not do what the digest FILE says
  comment FOLDER     says on the pull request what the digests in FOLDER hold
  outputs FILE       the outputs of STACK, without secrets, into FILE, and their summary
  drift-issue FILE PODS
                     opens, updates or closes the issue about what \`npm run drift -- --json\` wrote into FILE, and
                     \`npm run check -- --pods --json\` into PODS
  release            makes the release of a tag
  actionlint         checks the workflows
`;

async function stacks(): Promise<void> {
    const { code: status, stdout, stderr } = await capture("git", ["ls-files", "Pulumi.*.yaml"]);
    if (status !== 0) {
        throw new Failure(`\`git ls-files\` failed: ${stderr.trim()}.`);
    }
    const names = stdout.split("\n").flatMap((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1] ?? []);
    for (const name of names) {
        stackName({ STACK: name });
    }
    setOutput("stacks", JSON.stringify(names));
    process.stdout.write(`${JSON.stringify(names)}\n`);
}

const lastPreview = (stack: string) => digestOf(stack, join(logDir, `preview-${stack}.events.json`));

function digest(file: string): void {
    const found = lastPreview(stackName());
    writeFileSync(file, `${JSON.stringify(found, null, 2)}\n`);
    const text = previewText([found], {});
    addSummary(text);
    process.stdout.write(`${text}\n`);
}

function same(file: string): void {
    const stack = stackName();
    const found = differences(readDigest(file), lastPreview(stack));
    if (found.length > 0) {
        throw new Failure(`an update of stack ${stack} would not do what was reviewed; nothing was changed.`, {
            tail: found,
            next: "start the workflow again and review what it shows now",
        });
    }
    process.stdout.write(`stack ${stack}: an update would do what was reviewed\n`);
}

async function outputs(file: string): Promise<void> {
    const stack = stackName();
    const pulumi = pulumiOf(await setup("preview"));
    const args = ["stack", "output", "--json", "--stack", stack];
    const { code: status, stdout, stderr } = await askPulumi(pulumi, args);
    if (status !== 0) {
        throw new Failure(`the outputs of stack ${stack} cannot be read: ${stderr.trim().split("\n").pop()}`);
    }
    writeFileSync(file, stdout);
    const { readOutputs, renderSummary } = await import("../summary.ts");
    const { complaints, workers } = readOutputs(JSON.parse(stdout));
    const text =
        complaints.length > 0
            ? `The outputs are not what they should be:\n\n${block(complaints.join("\n"))}`
            : block(renderSummary(workers, JSON.parse(stdout).runtimeClass));
    addSummary(`## Stack ${code(stack)}\n\n${text}`);
    process.stdout.write(`${text}\n`);
}

/** Each command with the names of its arguments. */
const commands: Record<string, [run: (...args: string[]) => unknown, ...names: string[]]> = {
    stacks: [stacks],
    digest: [digest, "FILE"],
    same: [same, "FILE"],
    comment: [comment, "FOLDER"],
    outputs: [outputs, "FILE"],
    "drift-issue": [driftIssue, "FILE", "PODS"],
    release: [release],
    actionlint: [actionlint],
};

/** `ci COMMAND`. @returns exit code */
export async function ci([command = "", ...rest]: string[]): Promise<number> {
    const args = rest[0] === "--" ? rest.slice(1) : rest;
    if (["", "help", "--help", "-h"].includes(command)) {
        process.stdout.write(usage);
        return command === "" ? 2 : 0;
    }
    const [run, ...names] = (Object.hasOwn(commands, command) && commands[command]) || [];
    if (!run) {
        throw new Failure(`there is no command "${command}".\n${usage}`, { exitCode: 2 });
    }
    if (args.length !== names.length) {
        const wanted = ["no argument", "one argument, ", "two arguments, "][names.length] + names.join(" and ");
        throw new Failure(`ci ${command} takes ${wanted}.`, { exitCode: 2 });
    }
    const status = await run(...args);
    return typeof status === "number" ? status : 0;
}
