import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "../helpers/program";

const source = path.join(root, "cli/build/language-nodejs");
const refusal = "func (host *nodeLanguageHost) RunPlugin(\n) error { return nil }\n";

type PolicyHostSource = (go: string, source: string, folder: string) => Promise<string>;

describe("the source of a language host that runs policy packs", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "language-host-"));
    const upstream = path.join(folder, "upstream");
    const go = path.join(folder, "go");
    const made = path.join(folder, "made");
    let policyHostSource: PolicyHostSource;

    before(async () => {
        const file = pathToFileURL(path.join(root, "cli/policy.ts")).href;
        ({ policyHostSource } = (await import(file)) as { policyHostSource: PolicyHostSource });
        fs.mkdirSync(upstream);
        fs.writeFileSync(path.join(upstream, "main_test.go"), refusal);
        fs.writeFileSync(go, `#!/bin/sh\necho ${upstream}\n`, { mode: 0o755 });
    });
    after(() => fs.rmSync(folder, { recursive: true, force: true }));

    it("is that of the pinned module with another answer", async () => {
        fs.writeFileSync(path.join(upstream, "main.go"), `package main\n${refusal}`);
        assert.equal(await policyHostSource(go, source, made), made);
        assert.deepEqual(fs.readdirSync(made).sort(), ["go.mod", "go.sum", "main.go", "run_plugin.go"]);
        assert.equal(
            fs.readFileSync(path.join(made, "main.go"), "utf8"),
            `package main\n${refusal.replace("RunPlugin", "refusePlugin")}`,
        );
        const answer = path.join(source, "policy/run_plugin.go");
        assert.deepEqual(fs.readFileSync(path.join(made, "run_plugin.go")), fs.readFileSync(answer));
    });

    it("is refused where the module is another one, or cannot be had", async () => {
        fs.writeFileSync(path.join(upstream, "main.go"), "package main\n");
        await assert.rejects(policyHostSource(go, source, made), /has 0 functions RunPlugin instead of one\.$/);
        fs.writeFileSync(go, "#!/bin/sh\necho 'module lookup disabled' >&2\nexit 1\n");
        await assert.rejects(policyHostSource(go, source, made), /cannot be had: module lookup disabled\.$/);
    });
});
