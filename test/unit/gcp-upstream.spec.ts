import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { remoteSources, type SourceSettings, upstreamSources } from "../../components/targets/upstream";

const pinned: SourceSettings = {
    kubernetesVersion: "",
    containerdVersion: "",
    gvisorVersion: "",
    mirror: "",
    mirrorFingerprint: "",
};
const chosen = { kubernetesVersion: "1.35.9", containerdVersion: "2.3.8", gvisorVersion: "20261109.0" };
const versions = ["--kubernetes", "1.35.9", "--containerd", "2.3.8", "--gvisor", "20261109.0"];
const mirror = { mirror: "https://mirror.example/debs/", mirrorFingerprint: "ab".repeat(20) };
const base = ["--base-url", mirror.mirror, "--fingerprint", mirror.mirrorFingerprint];

/** What the script prints that targets on this host ask. */
function printed(...args: string[]): unknown {
    return JSON.parse(execFileSync("node_modules/.bin/node", ["mirror/sources.ts", ...args], { encoding: "utf8" }));
}

describe("the sources of machines elsewhere", () => {
    it("are upstream's, word for word as the script prints them", () => {
        assert.deepEqual(upstreamSources(pinned), printed("--kind", "upstream"));
        assert.deepEqual(upstreamSources({ ...pinned, ...chosen }), printed("--kind", "upstream", ...versions));
        assert.deepEqual(remoteSources(pinned), upstreamSources(pinned));
    });

    it("are a mirror's where one is set, likewise", () => {
        assert.deepEqual(remoteSources({ ...pinned, ...mirror }), printed("--kind", "mirror", ...base));
        assert.deepEqual(
            remoteSources({ ...pinned, ...chosen, ...mirror }),
            printed("--kind", "mirror", ...base, ...versions),
        );
    });
});
