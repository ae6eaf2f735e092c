import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { versions } from "../../components/versions";
import { known } from "../../components/vulnerabilities.cjs";
import support from "../../support.json";
import { root } from "../helpers/program";

describe("SECURITY.md", () => {
    const text = fs.readFileSync(path.join(root, "SECURITY.md"), "utf8");
    /** The last column of the row that begins with this. */
    const until = (what: string) =>
        new RegExp(`^\\| ${what.replaceAll(".", "\\.")} \\|.*\\| ([^|]*) \\|$`, "m").exec(text)?.[1];

    it("says of each branch that machines may have until when its project supports it", () => {
        const titles: Record<string, string> = { kubernetes: "Kubernetes", containerd: "containerd", debian: "Debian" };
        const branches = support.filter(({ component }) => component in titles);
        assert.ok(branches.length > 8);
        for (const { component, branch, ends } of branches) {
            const what = `${titles[component]} ${branch}`;
            assert.equal(until(what)?.slice(0, ends.length), ends, what);
        }
    });

    it("names the pins that are installed, and the first gVisor that is not refused", () => {
        const fixed = known.find(({ id }) => id === "CVE-2026-96812")?.affected[0]?.fixed ?? "";
        const built = `${/-(\d{8})\d{6}-/.exec(versions.gvisor.module)?.[1]}.0`;
        const gvisor = /^\| gVisor \|.*$/m.exec(text)?.[0] ?? "";
        for (const version of [`${fixed} or newer`, versions.gvisor.release, built]) {
            assert.ok(gvisor.includes(version), `${version} in ${gvisor}`);
        }
        assert.ok(until("containerd 2.3"));
        assert.match(text, new RegExp(`, and ${versions.containerd.version} where the program prepares the machine`));
        assert.match(text, new RegExp(`; ${versions.kubernetes.version} is the default`));
    });

    it("links each advisory of gVisor, containerd and runc that it names by its source", () => {
        const named = known.filter(({ id }) => text.includes(`[${id}]`));
        assert.ok(named.length >= 5);
        for (const { id, source } of named) {
            assert.ok(text.includes(`[${id}](${source})`), id);
        }
    });
});
