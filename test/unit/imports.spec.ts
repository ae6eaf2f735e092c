import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { root } from "../helpers/program";

const copied = [".dependency-cruiser.cjs", "tsconfig.json", "index.ts", "settings", "components", "cli/known.ts"];
const linked = ["node_modules", "versions.json", "vulnerabilities.json", "mirror"];

describe("the rules of what imports what", function () {
    this.timeout(60_000);
    let folder: string;

    before(() => {
        folder = fs.mkdtempSync(path.join(os.tmpdir(), "imports-"));
        for (const name of copied) {
            fs.cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
        }
        for (const name of linked) {
            fs.symlinkSync(path.join(root, name), path.join(folder, name));
        }
    });
    after(() => fs.rmSync(folder, { recursive: true }));

    it("find a circle, and what knows something that stands on it, of types, too; and nothing else in the program", () => {
        for (const [file, line] of [
            ["components/names.ts", 'import type { KubeconfigError } from "./targets/existing/kubeconfig";'],
            ["components/cluster/kubeconfig.ts", 'import type { ControlPlane } from "./controlPlane";'],
            ["components/admission/admission.ts", 'import type { Verdict } from "../proof/verdict";'],
            ["components/gvisor/sandboxNode.ts", 'import { drainOptions } from "./settings";'],
            ["cli/known.ts", 'import { project } from "../components/names.ts";'],
        ] as const) {
            fs.appendFileSync(path.join(folder, file), `${line}\n`);
        }
        const { stdout, stderr } = spawnSync(
            path.join(root, "node_modules/.bin/depcruise"),
            ["--output-type", "json", "index.ts", "settings", "components", "cli"],
            { cwd: folder, encoding: "utf8" },
        );
        assert.equal(stderr, "");
        const { summary } = JSON.parse(stdout) as {
            summary: { violations: { rule: { name: string }; from: string; to: string }[] };
        };
        assert.deepEqual(summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`).sort(), [
            "no-circle: components/cluster/controlPlane.ts -> components/cluster/kubeconfig.ts",
            "only-below-components-admission: components/admission/admission.ts -> components/proof/verdict.ts",
            "only-below-components: components/names.ts -> components/targets/existing/kubeconfig.ts",
            "only-shared-components: cli/known.ts -> components/names.ts",
            "settings-as-types: components/gvisor/sandboxNode.ts -> components/gvisor/settings.ts",
        ]);
    });
});
