import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { loadYaml } from "@kubernetes/client-node";
import * as pulumi from "@pulumi/pulumi";
import { parseSettings } from "../../settings";
import { root } from "./program";

interface ProjectFile {
    readonly name: string;
    readonly config: Readonly<Record<string, { type: string; description: string; default: string | object }>>;
}
export const projectFile = loadYaml<ProjectFile>(fs.readFileSync(path.join(root, "Pulumi.yaml"), "utf8"));

/** The complaints about some settings, without the sentences around them. */
export function complaints(raw: Record<string, string>): string[] {
    try {
        parseSettings(raw);
    } catch (error) {
        // A RunError is printed without a stack trace.
        assert.ok(pulumi.RunError.isInstance(error));
        const lines = error.message.split("\n");
        assert.equal(lines[0], "The settings of this stack cannot be used; nothing was changed:");
        assert.equal(lines.at(-1), "Correct them with: npm run pulumi -- config set NAME VALUE");
        return lines.slice(1, -1).map((line) => line.replace(/^ {2}- runtime-sandboxes:/, ""));
    }
    return [];
}

export const fingerprint = "0123456789abcdefABCDEF0123456789abcdef01";

/** The setting `existing` with two workers. */
export const existing = JSON.stringify({
    kubeconfig: "k",
    workers: {
        a: { host: "10.0.0.1", hostKey: "ssh-ed25519 AAAA" },
        b: { host: "10.0.0.2", hostKey: "ssh-ed25519 AAAA" },
    },
});

/** The same, with the namespace of the test pods. */
export const existingIn = (namespace: string) => JSON.stringify({ ...JSON.parse(existing), namespace });
