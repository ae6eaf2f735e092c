import { createHash } from "node:crypto";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { incompatibilities, type Wanted } from "./compatibility";
import { planConfig } from "./containerdConfig";
import { dropInName } from "./dropIn";
import type { NodeFacts } from "./facts";

/** What gvisor/install.sh is to configure. */
interface InstallPlan {
    /** Whole files of ours, each after a line "==> PATH". */
    readonly files: string;
    readonly head: string;
    readonly tail: string;
    readonly basis: string;
    /** Identifies what containerd reads of ours when it starts, and where it finds the shim. */
    readonly restart: string;
}

/**
 * What is to be configured on a machine.
 *
 * @throws {pulumi.RunError} all reasons why that cannot be done there, before anything is changed
 */
export function installPlan(machine: string, facts: NodeFacts, wanted: Wanted): InstallPlan {
    const plan = planConfig(facts, wanted.handlers);
    const complaints = [...incompatibilities(facts, wanted), ...plan.complaints];
    if (complaints.length > 0) {
        throw new pulumi.RunError(
            `gVisor cannot run on ${machine} as it is; nothing was changed there:\n` +
                complaints.map((complaint) => `  - ${complaint}\n`).join(""),
        );
    }
    const { head, tail } = plan.root;
    const read = plan.files.filter((file) => path.basename(file.path) === dropInName);
    return {
        files: plan.files.map((file) => `==> ${file.path}\n${file.text.trimEnd()}`).join("\n"),
        head: head.trimEnd(),
        tail: tail.trimEnd(),
        basis: facts.basis,
        restart: createHash("sha256")
            .update(JSON.stringify([read, head, tail, wanted.install]))
            .digest("hex")
            .slice(0, 12),
    };
}
