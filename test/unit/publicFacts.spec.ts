import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { publicFacts } from "../../components/gvisor/publicFacts";
import { nodeFacts } from "../helpers/canned";
import { cri, criV3, factsOf, kubeadm17, modern, password, root } from "../helpers/containerdFiles";

const imported = "/etc/containerd/site.d/a.toml";

describe("facts that may be shown", () => {
    it("are all but the texts of files and what only this program uses", () => {
        const { basis: _, containerd, ...rest } = nodeFacts();
        const text = containerd.files[0]?.text ?? "";
        assert.deepEqual(publicFacts(nodeFacts()), {
            ...rest,
            containerd: {
                version: "2.3.7",
                service: "active",
                killMode: "process",
                configPath: root,
                dropIns: "",
                schema: 3,
                configSha256: createHash("sha256").update(text).digest("hex"),
                imports: [],
                systemdCgroup: null,
                handlers: ["runc"],
            },
        });
    });

    it("hold no text of a file, of the dump, or of containerd's error", () => {
        const facts = factsOf(
            "1.7.36",
            { [root]: kubeadm17, [imported]: `p = "${password}"\n` },
            `${kubeadm17}\n# ${password}`,
        );
        const shown = publicFacts({
            ...facts,
            containerd: { ...facts.containerd, error: `invalid character near ${password}` },
        });
        assert.doesNotMatch(JSON.stringify(shown), new RegExp(`${password}|registry\\.example|SystemdCgroup`));
        assert.deepEqual(shown.containerd.imports, [imported]);
        assert.equal(shown.containerd.schema, 2);
    });

    it("tell the control groups of runc as they are in force", () => {
        const off = (text: string) => text.replace("SystemdCgroup = true", "SystemdCgroup = false");
        for (const [effective, expected] of [
            [kubeadm17, true],
            [off(kubeadm17), false],
            [modern(3), true],
            [off(modern(4)), false],
            ["", null],
            ["version = 3\n", null],
            ["broken [", null],
            [`version = 2\n[${cri}.containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v2"\n`, null],
            [`version = 3\n[${criV3}.containerd.runtimes.other.options]\nSystemdCgroup = true\n`, null],
        ] as const) {
            const { systemdCgroup } = publicFacts(factsOf("2.3.7", { [root]: modern(3) }, effective)).containerd;
            assert.equal(systemdCgroup, expected, effective);
        }
    });

    it("tell the version that is written in the root file", () => {
        for (const [files, schema] of [
            [{}, null],
            [{ [root]: "# nothing\n" }, null],
            [{ [root]: "broken [" }, null],
            [{ [root]: 'version = "two"\n' }, null],
            [{ [root]: modern(4), [imported]: "version = 2\n" }, 4],
        ] as const) {
            const { containerd } = publicFacts(factsOf("2.3.7", files));
            assert.equal(containerd.schema, schema, JSON.stringify(files));
            assert.equal(containerd.configSha256 === "", !(root in files));
        }
    });
});
