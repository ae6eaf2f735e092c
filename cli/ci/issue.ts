// The one issue that says what has drifted, and which pods are not where they should be.
import { lines } from "../drift.ts";
import { Failure } from "../failure.ts";
import { readJson } from "../project.ts";
import { stackName } from "../stack.ts";
import { list, runAddress, send } from "./github.ts";
import { driftText } from "./markdown.ts";

const label = "drift";

type Drift = Parameters<typeof lines>[0];

/** What of `check`'s result is read here. */
interface Checked {
    readonly problems: readonly { readonly kind: string; readonly message: string }[];
}

interface Issue {
    readonly number: number;
    readonly body?: string | null;
    /** GitHub lists pull requests among the issues. */
    readonly pull_request?: object;
}

function noResult(file: string, command: string): Failure {
    return new Failure(`${file} holds no result of \`npm run ${command} --json\`; the issue was left as it is.`, {
        next: `see what \`npm run ${command.replace(/ --$/, "")}\` has said`,
    });
}

/** What both commands have found, as lines: what differs, which pods are wrong, what could not be looked at. */
function findings(driftFile: string, podsFile: string) {
    const { machines, objects, unseen = [] } = readJson<Partial<Drift>>(driftFile) ?? {};
    if (!machines || !objects) {
        throw noResult(driftFile, "drift --");
    }
    const { problems } = readJson<Partial<Checked>>(podsFile) ?? {};
    if (!problems) {
        throw noResult(podsFile, "check -- --pods");
    }
    const drifted = lines({ machines, objects, unseen });
    // Without outputs nothing was looked at.
    const isUnseen = ({ kind }: { kind: string }) => ["unseen", "missing", "invalid"].includes(kind);
    return {
        differing: drifted.differing,
        wrong: problems.filter((one) => !isUnseen(one)).map(({ message }) => message),
        unseen: [...drifted.unseen, ...problems.filter(isUnseen).map(({ message }) => message)],
    };
}

/**
 * `ci drift-issue FILE PODS`: FILE is the output of `npm run drift -- --json`, PODS that of `npm run check -- --pods --json`. Opens,
 * updates or closes the stack's issue.
 */
export async function driftIssue(file: string, podsFile: string): Promise<void> {
    const stack = stackName();
    const found = findings(file, podsFile);
    const mark = `<!-- runtime-sandboxes: drift of ${stack} -->`;
    const open = (await list<Issue>(`issues?state=open&labels=${label}`)).find(
        (one) => !one.pull_request && one.body?.startsWith(mark),
    );
    const drifted = found.differing.length + found.wrong.length > 0;
    if (!drifted && found.unseen.length > 0) {
        throw new Failure(`stack ${stack} could not be looked at in full; its issue was left as it is.`, {
            tail: found.unseen,
        });
    }
    const body = `${mark}\n${drifted ? driftText(stack, found, runAddress()) : "Nothing differs any more.\n"}`;
    let done: string;
    if (drifted && open) {
        await send("PATCH", `issues/${open.number}`, { body });
        done = `updated issue ${open.number}`;
    } else if (drifted) {
        const { number } = await send<Issue>("POST", "issues", {
            title: `Stack ${stack} has drifted`,
            body,
            labels: [label],
        });
        done = `opened issue ${number}`;
    } else if (open) {
        await send("PATCH", `issues/${open.number}`, { body, state: "closed", state_reason: "completed" });
        done = `closed issue ${open.number}: stack ${stack} has not drifted`;
    } else {
        done = `stack ${stack} has not drifted, and no issue says so`;
    }
    process.stdout.write(`${done}\n`);
}
