import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { Replica } from "./replica/replica";
import { hosts } from "./replica/upstream";
import { TestStack, traces } from "./stack";

const older = "20260824.0";
const gvisor = "storage.googleapis.com/gvisor/releases";
const docker = "download.docker.com/linux/debian";

describe("sources: upstream, on replicas of the servers that people with internet access reach", function () {
    this.timeout(900_000);
    const bridge = "sbxe2e6";
    let replica: Replica;
    let stack: TestStack;
    let nothing: () => string[];
    let left: string[] = [];

    const file = (...parts: string[]) => path.join(replica.project, ...parts);
    const json = (name: string) => JSON.parse(fs.readFileSync(file(name), "utf8"));
    const installed = () => stack.on("worker-1", "dpkg-query --show runsc | cut -f2");
    /** The one file that is served at an address with a pattern in it. */
    const served = (url: string) => {
        const [found, ...more] = fs.globSync(replica.served(url));
        assert.ok(found !== undefined && more.length === 0, url);
        return found;
    };

    const refused = async (said: RegExp) => {
        const { code, text } = await stack.start("up").finished;
        assert.notEqual(code, 0);
        assert.match(text, said);
    };

    before(async () => {
        replica = new Replica();
        await replica.open();
        const place = replica.place();
        stack = new TestStack("e2e-upstream", { bridge, addressRange: "10.84.0.0/24" }, place);
        nothing = () => traces(bridge, stack.files, place.within);
        left = nothing();
    });
    after(async () => {
        await stack?.remove();
        await replica.close();
    });

    it("the first up installs Pulumi's release and plug-ins, decides for upstream and proves the sandbox", async () => {
        const text = await stack.run(["up"]);
        assert.match(text, /Pulumi \d+\.\d+\.\d+, official release: done/);
        assert.match(text, /plug-in kubernetes \d+\.\d+\.\d+, official release: done/);
        assert.match(text, /verdict: PROVEN on every worker/);
        const { cli, plugins } = json(".cache/toolchain.json");
        assert.deepEqual([cli, plugins], ["official", "official"]);
        assert.equal(fs.readFileSync(file(".cache/sources-kind"), "utf8"), "upstream\n");
        assert.equal(fs.existsSync(file(".cache/mirror")), false);
        assert.equal(installed(), json("versions.json").gvisor.release);
    });

    it("asks upstream's hosts only, for nothing that they do not have, and for pinned images by digest", () => {
        const asked = replica.requests();
        const host = (line: string) => new URL(line.split(" ")[2] ?? "").host;
        assert.deepEqual([...new Set(asked.map(host))].sort(), [...new Set(hosts)].sort());
        assert.deepEqual(
            asked.filter((line) => !/^(200|302|307|401) /.test(line)),
            [],
        );
        const { nginx, flannel, kubernetes } = json("versions.json");
        for (const image of [nginx.image, flannel.image, flannel.cniPluginImage]) {
            const [, name, digest] = /^[^/]+\/(.*):.*@(.*)$/.exec(image) ?? assert.fail(image);
            const manifests = asked.filter((line) => line.includes(`/v2/${name}/manifests/`));
            assert.ok(manifests[0]?.endsWith(digest ?? ""), manifests[0]);
            assert.ok(manifests.every((line) => line.includes("/manifests/sha256:")));
        }
        const apiServer = `/v2/kube-apiserver/manifests/v${kubernetes.version}`;
        assert.ok(asked.some((line) => line.startsWith("307") && line.endsWith(apiServer)));
    });

    it("overrules the configuration of Docker's package, which switches Kubernetes' plug-in off", () => {
        const shipped = spawnSync(
            "bash",
            [
                "-c",
                'dpkg-deb --fsys-tarfile "$0" | tar -xO ./etc/containerd/config.toml',
                served(`${docker}/**/containerd.io_${json("versions.json").containerd.version}-*.deb`),
            ],
            { encoding: "utf8" },
        ).stdout;
        assert.match(shipped, /^disabled_plugins = \["cri"\]$/m);
        assert.doesNotMatch(stack.on("worker-1", "cat /etc/containerd/config.toml"), /disabled_plugins/);
    });

    it("has nothing left to do, and nothing has drifted", async () => {
        await stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes");
        await stack.run(["drift"]);
    });

    for (const [what, url, change, said] of [
        [
            "a package that was changed on its way",
            `${gvisor}/pool/${older}/*/*.deb`,
            (name: string) => fs.writeFileSync(name, fs.readFileSync(name).fill(0, 1_000_000, 1_000_001)),
            /Failed to fetch https:\/\/storage\.googleapis\.com\/\S+ +Hash Sum mismatch[\s\S]* \d{8}\.0 stays/,
        ],
        [
            "an index that another key has signed",
            `${gvisor}/dists/release/InRelease`,
            (name: string) => fs.copyFileSync(served(`${docker}/dists/*/InRelease`), name),
            /apt cannot read the repository gvisor .* NO_PUBKEY [0-9A-F]{16}/,
        ],
        [
            "another key",
            "gvisor.dev/archive.key",
            (name: string) => fs.copyFileSync(served(`${docker}/gpg`), name),
            /the key at https:\/\/gvisor\.dev\/archive\.key has the fingerprint '[0-9A-F]{40}', expected [0-9A-F]{40}/,
        ],
    ] as const) {
        it(`refuses ${what}`, async () => {
            stack.configure({ sources: "upstream", gvisorVersion: older });
            const name = served(url);
            const right = fs.readFileSync(name);
            change(name);
            await refused(said).finally(() => fs.writeFileSync(name, right));
            assert.equal(installed(), json("versions.json").gvisor.release);
        });
    }

    it("installs another release of gVisor", async () => {
        await stack.run(["up"]);
        assert.equal(installed(), older);
        await stack.run(["check"]);
    });

    it("starts no image that has another digest than the pinned one", async () => {
        const [, digest = ""] = json("versions.json").nginx.image.split("@");
        const wrong = `sha256:${"0123456789abcdef".repeat(4)}`;
        replica.forge("docker.io/library/nginx", digest, wrong);
        replica.edit("versions.json", digest, wrong);
        // Kubernetes tries again and again; how long the program waits does not matter here.
        replica.edit("components/proof/testPod.ts", 'create: "3m"', 'create: "20s"');
        await refused(new RegExp(`unexpected commit digest ${digest}, expected ${wrong}`));
        assert.equal(stack.on("worker-1", "crictl ps --quiet --label io.kubernetes.pod.namespace=default"), "");
    });

    it("destroy leaves nothing", async () => {
        await stack.run(["destroy"]);
        assert.deepEqual(nothing(), left);
    });
});
