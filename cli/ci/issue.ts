// @ts-nocheck
// The one issue that says what has drifted, and which pods are not where they should be.
import { lines } from "../drift.ts";
import { Failure } from "../failure.ts";
import { readJson } from "../project.ts";
import { stackName } from "../stack.ts";
import { listed, request, runAddress } from "./github.ts";
import { driftText } from "./markdown.ts";

const label = "drift";

function refuse(file, command) {
    throw new Failure(`${file} holds no result of \`npm run ${command} --json\`; the issue was left as it is.`, {
        next: `see what \`npm run ${command.replace(/ --$/, "")}\` has said`,
    });
}

/**
 * `ci drift-issue FILE PODS`: FILE is the output of `npm run drift -- --json`, PODS that of `npm run check -- --pods --json`. Opens,
 * updates or closes the stack's issue.
 */
export async function driftIssue(file, podsFile) {
    const stack = stackName();
    const found = readJson(file);
    if (!Array.isArray(found?.machines) || !Array.isArray(found?.objects)) {
        refuse(file, "drift --");
    }
    const { problems } = readJson(podsFile) ?? {};
    if (!Array.isArray(problems)) {
        refuse(podsFile, "check -- --pods");
    }
    const ofPods = (isMeant) => problems.filter(({ kind }) => isMeant(kind)).map(({ message }) => message);
    // Without outputs nothing was looked at.
    const isUnseen = (kind) => ["unseen", "missing", "invalid"].includes(kind);
    const wrong = ofPods((kind) => !isUnseen(kind));
    const unseen = [...lines(found).unseen, ...ofPods(isUnseen)];
    const mark = `<!-- runtime-sandboxes: drift of ${stack} -->`;
    const open = (await listed(`issues?state=open&labels=${label}`)).find(
        (one) => !one.pull_request && one.body?.startsWith(mark),
    );
    const drifted = found.machines.length + found.objects.length + wrong.length > 0;
    if (!drifted && unseen.length > 0) {
        throw new Failure(`stack ${stack} could not be looked at in full; its issue was left as it is.`, {
            tail: unseen,
        });
    }
    if (!drifted && !open) {
        process.stdout.write(`stack ${stack} has not drifted, and no issue says so\n`);
        return;
    }
    if (!drifted) {
        const body = `${mark}\nNothing differs any more.\n`;
        await request("PATCH", `issues/${open.number}`, { body, state: "closed", state_reason: "completed" });
        process.stdout.write(`closed issue ${open.number}: stack ${stack} has not drifted\n`);
        return;
    }
    const body = `${mark}\n${driftText(stack, { differing: lines(found).differing, wrong, unseen }, runAddress())}`;
    if (open) {
        await request("PATCH", `issues/${open.number}`, { body });
        process.stdout.write(`updated issue ${open.number}\n`);
    } else {
        const { number } = await request("POST", "issues", {
            title: `Stack ${stack} has drifted`,
            body,
            labels: [label],
        });
        process.stdout.write(`opened issue ${number}\n`);
    }
}
