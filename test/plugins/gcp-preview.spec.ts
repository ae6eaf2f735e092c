import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { dumpYaml } from "@kubernetes/client-node";
import { version } from "@pulumi/gcp/package.json";
import { GcpProvider } from "../../plugins/gcp/provider";
import type { PropertyMap } from "../../plugins/shared/properties";
import type { CheckRequest, DiffRequest } from "../../plugins/shared/provider";
import { root } from "../helpers/program";
import { Stack } from "./command/stack";

/** Its settings are a file that git ignores: a clone of this checkout may be made meanwhile. */
const stack = "e2e-gcp-preview";
const configFile = path.join(root, `Pulumi.${stack}.yaml`);
const traces = [configFile, path.join(root, ".local", stack), path.join(root, ".pulumi/locks", stack)];

function configure(workers: string, gcp: object): void {
    const config = { target: "gcp", workers, gcp: { project: "my-project-123", region: "us-central1", ...gcp } };
    const named = Object.entries(config).map(([key, value]) => [`runtime-sandboxes:${key}`, value]);
    fs.writeFileSync(configFile, dumpYaml({ config: Object.fromEntries(named) }));
}

/** Runs one of the project's commands on the stack. */
function run(command: string): Promise<{ code: number; text: string }> {
    const env = { ...process.env, STACK: stack, CI: "true" };
    return new Promise((resolve) => {
        execFile("node", ["cli/bootstrap.mjs", command], { cwd: root, env }, (error, stdout, stderr) => {
            resolve({ code: error === null ? 0 : Number(error.code), text: stdout + stderr });
        });
    });
}

/** What the last preview planned: types by name, of what is to be created. */
function planned(): Map<string, string> {
    const log = fs.readFileSync(path.join(root, `.cache/logs/preview-${stack}.events.json`), "utf8");
    const steps = log
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as { resourcePreEvent?: { metadata: Record<"op" | "type" | "urn", string> } })
        .flatMap(({ resourcePreEvent }) => (resourcePreEvent ? [resourcePreEvent.metadata] : []));
    assert.ok(steps.every(({ op }) => op === "create"));
    return new Map(steps.map(({ type, urn }) => [urn.split("::").pop() ?? "", type]));
}

describe("a preview of machines on Google Cloud, by the engine with the stand-in of gcp", function () {
    this.timeout(300_000);

    after(() => fs.rmSync(configFile, { force: true }));

    it("plans the whole cluster, with nothing to complain about, and leaves no trace", async () => {
        configure("2", { adminRanges: ["203.0.113.7/32"] });
        const { code, text } = await run("preview");
        assert.equal(code, 0, text);
        const said = [...text.matchAll(/^ +(?:warning|error|info): (.*)$/gm)].map(([, message]) => message);
        assert.deepEqual(said, []);
        const plan = planned();
        const google = [...plan].filter(([, type]) => type.startsWith("gcp:"));
        assert.deepEqual(Object.fromEntries(google.sort()), {
            "gcp-account": "gcp:serviceaccount/account:Account",
            "gcp-control-plane-instance": "gcp:compute/instance:Instance",
            "gcp-network-address": "gcp:compute/address:Address",
            "gcp-network-allow-admin": "gcp:compute/firewall:Firewall",
            "gcp-network-allow-api": "gcp:compute/firewall:Firewall",
            "gcp-network-allow-jump": "gcp:compute/firewall:Firewall",
            "gcp-network-allow-kubelet": "gcp:compute/firewall:Firewall",
            "gcp-network-allow-pods": "gcp:compute/firewall:Firewall",
            "gcp-network-nat": "gcp:compute/routerNat:RouterNat",
            "gcp-network-router": "gcp:compute/router:Router",
            "gcp-network-subnet": "gcp:compute/subnetwork:Subnetwork",
            "gcp-network-vpc": "gcp:compute/network:Network",
            "gcp-worker-1-instance": "gcp:compute/instance:Instance",
            "gcp-worker-2-instance": "gcp:compute/instance:Instance",
        });
        for (const name of ["gcp-worker-2-host-key", "worker-2-runtime-install", "worker-2-probe-pods"]) {
            assert.ok(plan.has(name), name);
        }
        assert.deepEqual(traces.filter(fs.existsSync), [configFile]);
    });

    it("plans no external address where the only way in is Identity-Aware Proxy", async () => {
        configure("1", { adminRanges: ["iap"] });
        const { code, text } = await run("preview");
        assert.equal(code, 0, text);
        assert.equal(planned().has("gcp-network-address"), false);
    });
});

describe("the stand-in of gcp", function () {
    this.timeout(180_000);
    const provider = new GcpProvider();

    it("makes, changes and removes nothing, and says what is needed", async () => {
        const plugin = { name: "gcp", version };
        const made = new Stack(path.join(__dirname, "gcp/program.ts"), plugin);
        try {
            assert.equal((await made.run("stack", "init", "dev")).code, 0);
            const { code, output } = await made.run("up", "--yes", "--skip-preview");
            assert.notEqual(code, 0);
            assert.match(output, /the stand-in of gcp only previews; Pulumi's own plug-in is needed/);
        } finally {
            made.remove();
        }
        for (const method of ["delete", "read", "invoke"] as const) {
            assert.throws(() => provider[method](), /only previews/, method);
        }
    });

    it("takes only other inputs for a change, not what the official plug-in has noted beside them", async () => {
        const warnings: string[] = [];
        const context = {
            signal: new AbortController().signal,
            log: async (_: string, message: string) => void warnings.push(message),
            status: async () => undefined,
        };
        const oldInputs: PropertyMap = {
            __defaults: ["deletionPolicy"],
            deletionPolicy: "DELETE",
            zone: "us-central1-a",
            bootDisk: { __defaults: ["mode"], mode: "READ_WRITE", autoDelete: true },
        };
        const diff = (news: PropertyMap) => provider.diff({ oldInputs, news } as unknown as DiffRequest, context);
        const same = { zone: "us-central1-a", bootDisk: { autoDelete: true } };
        assert.deepEqual(provider.check({ news: same } as unknown as CheckRequest), { inputs: same });
        assert.deepEqual(await diff(same), { changes: "DIFF_NONE" });
        assert.deepEqual(warnings, []);
        const changed = await diff({ ...same, bootDisk: { autoDelete: false } });
        assert.deepEqual(changed, { changes: "DIFF_SOME", diffs: ["bootDisk"] });
        assert.match(warnings.join(), /^bootDisk: the stand-in of gcp cannot tell/);
    });
});
